"""The command line (floor 10)."""
