"""Fixtures shared by all tests: small maps made by hand, sample data where it is, recipes."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from gigalane.maps.compile import CompiledMap, compile_map
from gigalane.maps.road import RoadMap
from reference import maps


@pytest.fixture(scope="session")
def straight_road() -> RoadMap:
    """A straight two-way road of 400 m, before compilation."""
    return maps.straight_road()


@pytest.fixture(scope="session")
def straight(straight_road: RoadMap) -> CompiledMap:
    """A straight two-way road of 400 m."""
    return compile_map(straight_road)


@pytest.fixture(scope="session")
def bridge() -> CompiledMap:
    """Two roads that cross, one 6 m above the other."""
    return compile_map(maps.bridge())


@pytest.fixture(scope="session")
def ring_road() -> RoadMap:
    """A crooked hilly loop with a pavement, before compilation."""
    return maps.ring()


@pytest.fixture(scope="session")
def ring(ring_road: RoadMap) -> CompiledMap:
    """A crooked hilly loop that nobody can run out of."""
    return compile_map(ring_road)


@pytest.fixture(scope="session")
def tee_road() -> RoadMap:
    """A T junction with lights, a stop sign and a crossing, before compilation."""
    return maps.tee()


@pytest.fixture(scope="session")
def tee(tee_road: RoadMap) -> CompiledMap:
    """A T junction with lights, a stop sign and a crossing."""
    return compile_map(tee_road)


@pytest.fixture(scope="session")
def all_way_stop() -> CompiledMap:
    """Four arms with a stop sign each."""
    return compile_map(maps.all_way_stop())


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with sample maps and recordings."""
    if "GIGALANE_DATA" not in os.environ:
        pytest.skip("GIGALANE_DATA is not set: it names the folder of sample maps")
    return Path(os.environ["GIGALANE_DATA"])


@pytest.fixture(scope="session")
def town_roads(data: Path) -> RoadMap:
    """CARLA's Town03: ramps, tunnels, a roundabout and all kinds of junction."""
    from gigalane.maps.importers.formats import load_map

    return load_map(data / "opendrive" / "carla" / "Town03.xodr.gz")


@pytest.fixture(scope="session")
def town(town_roads: RoadMap) -> CompiledMap:
    """CARLA's Town03, compiled."""
    return compile_map(town_roads)


@pytest.fixture(scope="session")
def recipe() -> Callable[[str], ModuleType]:
    """Imports a recipe by its name, without running it."""
    folder = Path(__file__).parents[1] / "recipes"

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
