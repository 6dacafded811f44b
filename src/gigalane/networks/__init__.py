"""Network modules (floor 3)."""
