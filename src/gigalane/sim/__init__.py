"""The batched simulator (floor 2)."""
