"""What every floor may use: geometry, random numbers, settings (floor 0)."""

import warp as wp

# Warp greets on stdout and warns on stderr of a missing GPU; a command's output is the user's.
wp.config.log_level = wp.LOG_ERROR
