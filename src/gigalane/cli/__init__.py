"""The command line (floor 12)."""
