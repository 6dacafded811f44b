"""The learning signal (floor 8)."""
