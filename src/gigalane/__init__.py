"""gigalane: a car learns to drive by self-play, learns to see, and proves it closed-loop."""

from typing import TYPE_CHECKING, Any

from gigalane.maps.importers.formats import load_map
from gigalane.maps.road import MapError, RoadMap

if TYPE_CHECKING:
    from gigalane.policies.checkpoint import load_policy
    from gigalane.sim.settings import SimulatorSettings
    from gigalane.sim.simulator import Simulator

__all__ = ["MapError", "RoadMap", "Simulator", "SimulatorSettings", "load_map", "load_policy"]
__version__ = "0.1.0"

# Warp and torch take seconds to import; reading a map needs neither.
_LATER = {
    "Simulator": "gigalane.sim.simulator",
    "SimulatorSettings": "gigalane.sim.settings",
    "load_policy": "gigalane.policies.checkpoint",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports a public name when it is first used."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
