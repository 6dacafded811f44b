import numpy as np
import pytest

from gigalane.core.settings import SettingsError
from gigalane.maps.sources import open_maps
from gigalane.sim.advice import NO_ADVICE, NO_COMMAND, Advisor
from gigalane.sim.scene import ACTIVE, PEDESTRIAN, POLICY
from gigalane.sim.settings import PersonaSettings, SimulatorSettings, TrafficSettings
from gigalane.sim.simulator import Simulator


@pytest.fixture(scope="module")
def town():
    return open_maps(["town:5"])


def world(town, action="jerk12", **traffic):
    settings = SimulatorSettings(
        worlds=4,
        agents=16,
        time_steps=(0.3,),
        action=action,
        traffic=TrafficSettings(blind=0.0, braking=0.0, **traffic),
        persona=PersonaSettings.strict(),
    )
    return Simulator(town, settings, seed=3, threads=1)


def test_advice_goes_to_driving_learners_alone(town):
    simulator = world(town, scripted=0.4, scripted_pedestrians=0.5)
    advisor = Advisor(simulator)
    advisor.look()
    traits = simulator.scene.traits.numpy()
    learner = simulator.scene.status.numpy() == ACTIVE
    learner &= (traits["driver"] == POLICY) & (traits["kind"] != PEDESTRIAN)
    told = advisor.advice.numpy()
    assert learner.any() and not learner.all()
    assert ((told[learner] >= 0) & (told[learner] < 12)).all()
    assert (told[~learner] == int(NO_ADVICE)).all()


def test_asking_changes_nothing(town):
    asked, left_alone = world(town), world(town)
    Advisor(asked).look()
    for name, values in asked.snapshot().arrays.items():
        assert values.tobytes() == left_alone.snapshot().arrays[name].tobytes(), name


def test_advice_does_not_depend_on_threads(town):
    one, two = world(town), world(town)
    two.threads = 2
    first, second = Advisor(one), Advisor(two)
    first.look()
    second.look()
    assert np.array_equal(first.advice.numpy(), second.advice.numpy())


def test_who_follows_the_advice_drives_and_who_acts_at_random_does_not(town):
    metres = {}
    for follows in (True, False):
        simulator = world(town)
        advisor = Advisor(simulator)
        random = np.random.default_rng(0)
        off_road = 0
        for _ in range(60):
            advisor.look()
            told = advisor.advice.numpy().clip(0)
            simulator.step(told if follows else random.integers(0, 12, simulator.shape))
            off_road += int((simulator.scene.reward_terms.numpy()[..., 2] < 0).sum())
        metres[follows] = off_road
    assert metres[True] * 4 < metres[False]


def test_advice_in_accelerations_is_what_the_scripted_driver_does_itself(town):
    advised = world(town, action="acceleration_steering")
    scripted = world(town, action="acceleration_steering", scripted=1.0)
    advisor = Advisor(advised)
    advisor.look()
    told = advisor.advice.numpy().copy()
    drives = advised.scene.traits.numpy()["driver"] == POLICY
    drives &= advised.scene.traits.numpy()["kind"] != PEDESTRIAN
    assert (told[~drives][:, 0] == float(NO_COMMAND)).all()
    scripted.step(np.zeros((*scripted.shape, 2)))
    assert drives.any()
    assert np.array_equal(told[drives], scripted.scene.command.numpy()[drives])


def test_jerks_of_any_size_are_refused(town):
    with pytest.raises(SettingsError, match="advice is for 'jerk12' and"):
        Advisor(world(town, action="jerk"))
