"""What every floor may use: geometry, random numbers, settings (floor 0)."""
