"""gigalane: a car learns to drive by self-play, learns to see, and proves it closed-loop."""

from gigalane.maps.importers.formats import load_map
from gigalane.maps.road import MapError, RoadMap

__all__ = ["MapError", "RoadMap", "load_map"]
__version__ = "0.1.0"
