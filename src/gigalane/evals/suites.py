"""Named evaluations: which towns, how dense."""

from __future__ import annotations

from dataclasses import dataclass

from gigalane.core.settings import SettingsError
from gigalane.maps.sources import located


@dataclass(frozen=True)
class Suite:
    """Maps to evaluate on.

    Attributes:
        name: what it is called on the command line.
        description: one line about it.
        maps: sources; `$` stands for the folder in GIGALANE_DATA.
        density: vehicles per lane-kilometre.
    """

    name: str
    description: str
    maps: tuple[str, ...]
    density: float

    def sources(self) -> list[str]:
        """Its maps as `gigalane.maps.sources.open_maps` takes them.

        Raises:
            SettingsError: if they lie in a folder that is not at hand.
        """
        return located(self.maps, f"suite {self.name}", "set it, or use --map")


_UNSEEN = ("$/opendrive/carla/Town05.xodr.gz", "$/opendrive/carla/Town10HD.xodr.gz")
_SEEN = tuple(f"$/opendrive/carla/Town0{k}.xodr.gz" for k in (1, 2, 3, 4))
HELD_OUT_TOWNS = "town:9001-9004"
"""Procedural towns that no recipe trains on."""

SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "procedural",
            "four unseen procedural towns, dense (10 vehicles a lane-km)",
            (HELD_OUT_TOWNS,),
            10.0,
        ),
        Suite(
            "procedural-sparse", "the same, sparse (2 vehicles a lane-km)", (HELD_OUT_TOWNS,), 2.0
        ),
        Suite(
            "unseen-dense", "CARLA Town05 and Town10HD, dense; needs GIGALANE_DATA", _UNSEEN, 10.0
        ),
        Suite(
            "unseen-sparse", "CARLA Town05 and Town10HD, sparse; needs GIGALANE_DATA", _UNSEEN, 2.0
        ),
        Suite("seen-dense", "CARLA Town01 to Town04, dense; needs GIGALANE_DATA", _SEEN, 10.0),
    )
}


def open_suite(name: str) -> Suite:
    """A suite by its name.

    Raises:
        SettingsError: if there is no such suite.
    """
    if name not in SUITES:
        raise SettingsError(f"suite {name!r}: there are {', '.join(SUITES)}")
    return SUITES[name]
