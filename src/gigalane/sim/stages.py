"""The stages of a step as launches of their own, for a GPU: a thread a road user.

`gigalane.sim.step` says what the stages are and in which order; these kernels only hand them
their worlds and road users, so both ways of running a step give the same numbers.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportAssignmentType=false

from typing import Any

import warp as wp

from gigalane.maps.arrays import MapArrays
from gigalane.sim.judge import clear, judge
from gigalane.sim.observe import observe
from gigalane.sim.scene import ABSENT, ACTIVE, SceneArrays
from gigalane.sim.settings import Rules
from gigalane.sim.step import arrive, decide, move, settle


@wp.kernel(enable_backward=False)
def arrive_stage(rules: Rules, lane_tokens: int, road: MapArrays, scene: SceneArrays):
    """A thread a world: newcomers of one world must see each other."""
    arrive(rules, road, scene, wp.tid())


@wp.kernel(enable_backward=False)
def decide_stage(rules: Rules, lane_tokens: int, road: MapArrays, scene: SceneArrays):
    """Actions and scripts become commands."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world]:
        decide(rules, road, scene, world, agent)


@wp.kernel(enable_backward=False)
def move_stage(rules: Rules, lane_tokens: int, road: MapArrays, scene: SceneArrays):
    """Commands become poses, poses become places."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world]:
        move(rules, road, scene, world, agent)


@wp.kernel(enable_backward=False)
def judge_stage(rules: Rules, lane_tokens: int, road: MapArrays, scene: SceneArrays):
    """Facts, reward, end of episode."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world]:
        clear(scene, world, agent)
        if scene.status[world, agent] == ACTIVE:
            judge(rules, road, scene, world, agent, scene.past_lane[world, agent])


@wp.kernel(enable_backward=False)
def settle_stage(rules: Rules, lane_tokens: int, road: MapArrays, scene: SceneArrays):
    """Who acts next; the first road user of a world moves its clock on."""
    world, agent = wp.tid()
    if agent == 0:
        scene.clock[world] = scene.clock[world] + 1
    if agent < scene.agent_count[world]:
        settle(scene, world, agent)


@wp.kernel(enable_backward=False)
def observe_stage(rules: Rules, lane_tokens: int, road: MapArrays, scene: SceneArrays):
    """What each of them sees."""
    world, agent = wp.tid()
    if agent < scene.agent_count[world] and scene.status[world, agent] != ABSENT:
        observe(rules, road, scene, world, agent, lane_tokens)


def record_stages(worlds: int, agents: int, inputs: list[Any], device: str) -> list[Any]:
    """The launches of one step, in order, ready to be repeated.

    Args:
        worlds: of the batch.
        agents: slots in each.
        inputs: rules, lane tokens, maps and scene, as every stage takes them.
        device: Warp device name.
    """
    per_agent = (decide_stage, move_stage, judge_stage, settle_stage, observe_stage)
    shapes = [(arrive_stage, (worlds,)), *((stage, (worlds, agents)) for stage in per_agent)]
    return [
        wp.launch(stage, dim=shape, inputs=inputs, device=device, record_cmd=True)
        for stage, shape in shapes
    ]
