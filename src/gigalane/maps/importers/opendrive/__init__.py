"""ASAM OpenDRIVE 1.4 to 1.8 into a `RoadMap`."""
