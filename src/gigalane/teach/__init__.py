"""Whoever knows the state teaches who sees (floor 9)."""
