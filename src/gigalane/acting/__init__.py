"""How actions are generated in a roll-out (floor 5)."""
