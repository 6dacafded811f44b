"""Recordings and a browser, made once for all tests of the viewer."""

from __future__ import annotations

import browser as browser_module
import pytest
import synthetic_world


@pytest.fixture(scope="session")
def crossroads():
    return synthetic_world.crossroads()


@pytest.fixture(scope="session")
def drive(crossroads):
    """Twelve road users on the crossroads for eight seconds."""
    return synthetic_world.traffic(crossroads, agents=12, seconds=8.0, seed=4)


@pytest.fixture(scope="session")
def browser():
    if browser_module.CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    one = browser_module.Browser()
    yield one
    one.close()
