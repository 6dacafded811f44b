"""Ways of learning side by side, over seeds (floor 10)."""
