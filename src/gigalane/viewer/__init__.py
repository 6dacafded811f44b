"""Pictures and replays (floor 11)."""
