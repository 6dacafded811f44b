"""Pictures and replays (floor 9)."""
