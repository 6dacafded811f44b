from gigalane.sim.control import (
    ACTION_SPACES,
    JERK,
    JERK12,
    JERK_CHOICES,
    LATERAL_JERK_CHOICES,
)
from reference import probes


def test_discrete_actions_are_all_pairs_of_the_papers_jerks():
    found = probes.jerks([JERK12] * 12, [(k, 0.0) for k in range(12)])
    expected = [(along, side) for along in JERK_CHOICES for side in LATERAL_JERK_CHOICES]
    assert found.tolist() == [list(pair) for pair in expected]
    assert ACTION_SPACES["jerk12"].choices == 12


def test_discrete_actions_out_of_range_are_taken_as_the_nearest():
    assert probes.jerks([JERK12] * 2, [(-3, 0), (99, 0)]).tolist() == [[-15, -4], [4, 4]]


def test_continuous_jerks_are_clipped_to_the_discrete_extremes():
    found = probes.jerks([JERK] * 3, [(-20, 9), (2.5, -1.5), (7, -9)])
    assert found.tolist() == [[-15, 4], [2.5, -1.5], [4, -4]]
