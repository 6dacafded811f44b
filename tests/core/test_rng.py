import numpy as np

from gigalane.core.rng import world_seeds
from reference import probes
from reference import random as twin


def test_draws_equal_the_integer_twin():
    rng = np.random.default_rng(0)
    seed = rng.integers(0, 2**32, 300)
    agent, step = rng.integers(0, 500, 300), rng.integers(0, 100_000, 300)
    purpose, index = rng.integers(100, 700, 300), rng.integers(0, 200, 300)
    unit, normal = probes.random_numbers(seed, agent, step, purpose, index)
    states = [twin.stream(*map(int, row)) for row in zip(seed, agent, step, purpose, strict=True)]
    assert np.array_equal(
        unit, np.float32([twin.unit(s, int(i)) for s, i in zip(states, index, strict=True)])
    )
    expected = [twin.normal(s, int(i)) for s, i in zip(states, index, strict=True)]
    np.testing.assert_allclose(normal, expected, rtol=2e-4, atol=2e-4)


def test_streams_of_neighbouring_agents_steps_and_purposes_look_independent():
    base = dict(
        seed=np.full(20_000, 7),
        agent=np.full(20_000, 3),
        step=np.full(20_000, 11),
        purpose=np.full(20_000, 301),
        index=np.zeros(20_000, int),
    )
    count = np.arange(20_000)
    for name in base:
        draws, normals = probes.random_numbers(**(base | {name: count}))
        # Kolmogorov-Smirnov at 20,000 draws: 1.95 / sqrt(n) is exceeded once in a thousand.
        gap = np.abs(np.sort(draws) - (count + 0.5) / len(count)).max()
        assert gap < 1.95 / np.sqrt(len(count)), name
        assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.025, name
        assert abs(normals.mean()) < 0.03 and abs(normals.std() - 1.0) < 0.03, name


def test_seed_of_a_world_does_not_depend_on_how_many_there_are():
    many = world_seeds(5, 40)
    assert np.array_equal(world_seeds(5, 3), many[:3])
    assert len(set(many.tolist())) == 40
    assert not np.array_equal(world_seeds(6, 40), many)
