"""How the world answers (floor 5)."""
