"""What maps observations to actions (floor 4)."""
