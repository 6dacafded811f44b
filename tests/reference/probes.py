"""Kernels that call one function of the simulator each, on rows of cases.

Called from plain Python a `wp.func` shares structs instead of copying them, so functions that
take a struct and return a changed one are only themselves inside a kernel.
"""

from __future__ import annotations

import numpy as np
import warp as wp

from gigalane.core.rng import normal, stream, unit
from gigalane.maps.arrays import MapArrays
from gigalane.sim.collide import same_level, touched
from gigalane.sim.control import jerks_of
from gigalane.sim.dynamics import advance, command_from_jerk, displace
from gigalane.sim.goals import plan_route
from gigalane.sim.lights import light_state
from gigalane.sim.locate import locate
from gigalane.sim.reward import reward_terms
from gigalane.sim.scene import Body, PersonaVector, Place, RewardVector, Route, Traits
from gigalane.sim.settings import Rules
from gigalane.sim.traffic import idm_acceleration, pursuit_steering

wp.config.quiet = True


@wp.kernel(enable_backward=False)
def _random(
    seed: wp.array(dtype=wp.uint32),
    agent: wp.array(dtype=int),
    step: wp.array(dtype=int),
    purpose: wp.array(dtype=int),
    index: wp.array(dtype=int),
    unit_out: wp.array(dtype=float),
    normal_out: wp.array(dtype=float),
):
    i = wp.tid()
    state = stream(seed[i], agent[i], step[i], purpose[i])
    unit_out[i] = unit(state, index[i])
    normal_out[i] = normal(state, index[i])


@wp.kernel(enable_backward=False)
def _advance(
    body: wp.array(dtype=Body),
    traits: wp.array(dtype=Traits),
    command: wp.array(dtype=wp.vec2),
    dt: wp.array(dtype=float),
    body_out: wp.array(dtype=Body),
):
    i = wp.tid()
    body_out[i] = advance(body[i], traits[i], command[i], dt[i])


@wp.kernel(enable_backward=False)
def _drive_by_jerk(
    body: wp.array(dtype=Body),
    traits: wp.array(dtype=Traits),
    jerk: wp.array(dtype=wp.vec2),
    dt: wp.array(dtype=float),
    body_out: wp.array(dtype=Body),
):
    i = wp.tid()
    command = command_from_jerk(body[i], traits[i], jerk[i][0], jerk[i][1], dt[i])
    body_out[i] = advance(body[i], traits[i], command, dt[i])


@wp.kernel(enable_backward=False)
def _displace(
    body: wp.array(dtype=Body),
    traits: wp.array(dtype=Traits),
    move: wp.array(dtype=wp.vec3),
    dt: wp.array(dtype=float),
    body_out: wp.array(dtype=Body),
):
    i = wp.tid()
    body_out[i] = displace(body[i], traits[i], move[i][0], move[i][1], move[i][2], dt[i])


@wp.kernel(enable_backward=False)
def _jerks(
    action: wp.array(dtype=int), given: wp.array(dtype=wp.vec2), out: wp.array(dtype=wp.vec2)
):
    i = wp.tid()
    out[i] = jerks_of(action[i], given[i][0], given[i][1])


@wp.kernel(enable_backward=False)
def _touched(
    body: wp.array(dtype=Body),
    size: wp.array(dtype=Traits),
    other: wp.array(dtype=Body),
    other_size: wp.array(dtype=Traits),
    out: wp.array(dtype=int),
):
    i = wp.tid()
    out[i] = wp.where(touched(body[i], size[i], other[i], other_size[i]), 1, 0)


@wp.kernel(enable_backward=False)
def _same_level(z: wp.array(dtype=wp.vec3), out: wp.array(dtype=int)):
    i = wp.tid()
    out[i] = wp.where(same_level(z[i][0], z[i][1], z[i][2]), 1, 0)


@wp.kernel(enable_backward=False)
def _lights(
    rules: Rules,
    road: MapArrays,
    control: wp.array(dtype=int),
    seed: wp.array(dtype=wp.uint32),
    time: wp.array(dtype=float),
    out: wp.array(dtype=int),
):
    i = wp.tid()
    out[i] = light_state(rules, road, road.controls[control[i]], seed[i], time[i])


@wp.kernel(enable_backward=False)
def _locate(
    road: MapArrays,
    route: wp.array(dtype=Route),
    before: wp.array(dtype=Place),
    body: wp.array(dtype=Body),
    traits: wp.array(dtype=Traits),
    out: wp.array(dtype=Place),
):
    i = wp.tid()
    out[i] = locate(road, road.maps[0], route[i], before[i], body[i], traits[i])


@wp.kernel(enable_backward=False)
def _reward(
    persona: wp.array(dtype=PersonaVector),
    body: wp.array(dtype=Body),
    place: wp.array(dtype=Place),
    facts: wp.array(dtype=int),
    dt: wp.array(dtype=float),
    out: wp.array(dtype=RewardVector),
):
    i = wp.tid()
    out[i] = reward_terms(persona[i], body[i], place[i], facts[i], dt[i])


@wp.kernel(enable_backward=False)
def _plan(
    rules: Rules,
    road: MapArrays,
    place: wp.array(dtype=Place),
    kind: int,
    seed: wp.array(dtype=wp.uint32),
    out: wp.array(dtype=Route),
):
    i = wp.tid()
    out[i] = plan_route(rules, road, place[i], kind, seed[i], i, 0)


@wp.kernel(enable_backward=False)
def _idm(rules: Rules, state: wp.array(dtype=wp.vec4), out: wp.array(dtype=float)):
    i = wp.tid()
    out[i] = idm_acceleration(rules, state[i][0], state[i][1], state[i][2], state[i][3])


@wp.kernel(enable_backward=False)
def _pursuit(
    body: wp.array(dtype=Body),
    traits: wp.array(dtype=Traits),
    point: wp.array(dtype=wp.vec2),
    out: wp.array(dtype=float),
):
    i = wp.tid()
    out[i] = pursuit_steering(body[i], traits[i], point[i][0], point[i][1])


def _call(kernel, outputs, *inputs):
    """Launches a kernel over rows; arrays are converted to what its signature says."""
    names = list(kernel.adj.arg_types.items())
    given = []
    rows = None
    for (_, kind), value in zip(names, inputs, strict=False):
        if isinstance(kind, wp.array):
            rows = len(value) if rows is None else rows
            value = wp.array(np.ascontiguousarray(value), dtype=kind.dtype, device="cpu")
        given.append(value)
    results = [
        wp.zeros(rows, dtype=names[len(inputs) + k][1].dtype, device="cpu") for k in range(outputs)
    ]
    wp.launch(kernel, dim=rows, inputs=given, outputs=results, device="cpu")
    found = [result.numpy() for result in results]
    return found[0] if outputs == 1 else found


def records(struct, rows: int, **fields) -> np.ndarray:
    """Zeroed rows of a struct with some fields filled."""
    table = np.zeros(rows, dtype=struct.numpy_dtype())
    for name, values in fields.items():
        table[name] = values
    return table


def random_numbers(seed, agent, step, purpose, index):
    """(unit, normal) draws, one row a case."""
    return _call(
        _random,
        2,
        np.uint32(seed),
        np.int32(agent),
        np.int32(step),
        np.int32(purpose),
        np.int32(index),
    )


def move(body, traits, command, dt):
    """`advance` of each row."""
    return _call(_advance, 1, body, traits, np.float32(command), np.float32(dt))


def drive_by_jerk(body, traits, jerk, dt):
    """`command_from_jerk`, then `advance`, of each row."""
    return _call(_drive_by_jerk, 1, body, traits, np.float32(jerk), np.float32(dt))


def displaced(body, traits, by, dt):
    """`displace` of each row."""
    return _call(_displace, 1, body, traits, np.float32(by), np.float32(dt))


def jerks(action, given):
    """`jerks_of` of each row."""
    return _call(_jerks, 1, np.int32(action), np.float32(given))


def touching(body, size, other, other_size):
    """`touched` of each row, as booleans."""
    return _call(_touched, 1, body, size, other, other_size) == 1


def on_same_level(z, other_z, distance):
    """`same_level` of each row."""
    return _call(_same_level, 1, np.float32(np.column_stack([z, other_z, distance]))) == 1


def light_states(rules, road, control, seed, time):
    """`light_state` of each row."""
    return _call(_lights, 1, rules, road, np.int32(control), np.uint32(seed), np.float32(time))


def located(road, route, before, body, traits):
    """`locate` of each row on the first map."""
    return _call(_locate, 1, road, route, before, body, traits)


def rewards(persona, body, place, facts, dt):
    """`reward_terms` of each row."""
    return _call(_reward, 1, np.float32(persona), body, place, np.int32(facts), np.float32(dt))


def planned(rules, road, place, kind, seed):
    """`plan_route` of each row."""
    return _call(_plan, 1, rules, road, place, kind, np.uint32(seed))


def idm(rules, speed, desired, gap, leader_speed):
    """`idm_acceleration` of each row."""
    return _call(_idm, 1, rules, np.float32(np.column_stack([speed, desired, gap, leader_speed])))


def pursuit(body, traits, point):
    """`pursuit_steering` of each row."""
    return _call(_pursuit, 1, body, traits, np.float32(point))
