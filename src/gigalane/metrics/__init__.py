"""Facts counted into figures (floor 5)."""
