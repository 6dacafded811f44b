"""The stages of a step as launches of their own, for a GPU: a thread a road user.

`gigalane.sim.step` says what the stages are and in which order; these kernels only hand them
their worlds and road users, so both ways of running a step give the same numbers. Neighbouring
threads have neighbouring road users of one world, so that what lies side by side is read
together. Newcomers of a world come one after the other, in one thread; a world that nobody has
left costs that thread one look.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportAssignmentType=false

from collections.abc import Sequence
from typing import Any

import warp as wp

from gigalane.maps.arrays import MapArrays
from gigalane.sim.judge import clear, judge
from gigalane.sim.observe import observe
from gigalane.sim.scene import ABSENT, ACTIVE, ENDED, SceneArrays
from gigalane.sim.settings import Rules
from gigalane.sim.step import arrive, decide, move, settle

BLOCK = 128
"""Threads of a block: stages that need many registers then leave room for several blocks."""
wp.set_module_options({"block_dim": BLOCK})


@wp.kernel(enable_backward=False)
def vacate_stage(scene: SceneArrays, waiting: wp.array(dtype=int)):
    """Empties the slots whose episode ended and marks the worlds that have some."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world] and scene.status[world, agent] == ENDED:
        scene.boxes[world, 8, agent] = -1.0
        waiting[world] = 1


@wp.kernel(enable_backward=False)
def arrive_stage(rules: Rules, road: MapArrays, scene: SceneArrays, waiting: wp.array(dtype=int)):
    """A thread a world: newcomers of one world must see each other."""
    world = wp.tid()
    if waiting[world] == 1:
        waiting[world] = 0
        arrive(rules, road, scene, world)


@wp.kernel(enable_backward=False)
def decide_stage(rules: Rules, road: MapArrays, scene: SceneArrays):
    """Actions and scripts become commands."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world]:
        decide(rules, road, scene, world, agent)


@wp.kernel(enable_backward=False)
def move_stage(rules: Rules, road: MapArrays, scene: SceneArrays):
    """Commands become poses, poses become places."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world]:
        move(rules, road, scene, world, agent)


@wp.kernel(enable_backward=False)
def judge_stage(rules: Rules, road: MapArrays, scene: SceneArrays):
    """Facts, reward, end of episode."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world]:
        clear(scene, world, agent)
        if scene.status[world, agent] == ACTIVE:
            judge(rules, road, scene, world, agent, scene.past_lane[world, agent])


@wp.kernel(enable_backward=False)
def settle_stage(scene: SceneArrays):
    """Who acts next; the first road user of a world moves its clock on."""
    world, agent = wp.tid()
    if agent == 0:
        scene.clock[world] = scene.clock[world] + 1
    if agent < scene.agent_count[world]:
        settle(scene, world, agent)


@wp.kernel(enable_backward=False)
def begin_stage(scene: SceneArrays):
    """Who acts in the first step."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world]:
        clear(scene, world, agent)
        settle(scene, world, agent)


@wp.kernel(enable_backward=False)
def observe_stage(rules: Rules, lane_tokens: int, road: MapArrays, scene: SceneArrays):
    """What each of them sees."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world] and scene.status[world, agent] != ABSENT:
        observe(rules, road, scene, world, agent, lane_tokens)


@wp.kernel(enable_backward=False)
def take_actions(actions: wp.array3d(dtype=Any), scene: SceneArrays):
    """Copies what an actor wrote elsewhere on the device, whatever its type."""
    world, agent, number = wp.tid()
    scene.action[world, agent, number] = float(actions[world, agent, number])


for _kind in (wp.int64, wp.int32, wp.float32):
    wp.overload(take_actions, [wp.array3d(dtype=_kind), SceneArrays])


def record_stages(
    rules: Any,  # noqa: ANN401
    lane_tokens: int,
    road: Any,  # noqa: ANN401
    scene: Any,  # noqa: ANN401
    waiting: wp.array,
) -> tuple[list[wp.Launch], list[wp.Launch]]:
    """The launches that start worlds and those of one step, in order, ready to be repeated.

    Args:
        rules: the settings.
        lane_tokens: road tokens that are lane points.
        road: the maps.
        scene: the worlds; the launches run where its arrays are.
        waiting: (worlds,) int, zero: memory of the launches between one another.
    """
    device, slots = scene.status.device, scene.status.shape

    def record(stage: Any, shape: Sequence[int], *inputs: object) -> wp.Launch:  # noqa: ANN401
        return wp.launch(
            stage, dim=shape, inputs=list(inputs), device=device, block_dim=BLOCK, record_cmd=True
        )

    arriving = [
        record(vacate_stage, slots, scene, waiting),
        record(arrive_stage, slots[:1], rules, road, scene, waiting),
    ]
    observing = record(observe_stage, slots, rules, lane_tokens, road, scene)
    per_agent = (decide_stage, move_stage, judge_stage)
    moving = [record(stage, slots, rules, road, scene) for stage in per_agent]
    starts = [*arriving, record(begin_stage, slots, scene), observing]
    return starts, [*arriving, *moving, record(settle_stage, slots, scene), observing]
