"""Who knows how to drive."""

import pytest

from gigalane.policies.entity import EntityPolicy
from gigalane.policies.shipped import load_default


@pytest.fixture(scope="module")
def teacher() -> EntityPolicy:
    """The shipped driver, on one thread."""
    policy = load_default()
    policy.threads = 1
    return policy
