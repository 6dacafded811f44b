"""Formats, geometry and checks of road maps (floor 1)."""
