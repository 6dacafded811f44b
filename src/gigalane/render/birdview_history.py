"""Where everybody was a moment ago: the last steps of each world, by its own clock.

An entry is the boxes of one step. Worlds differ in their time step, so a time in the past is
turned into steps world by world: the nearest whole number. Nothing is remembered across the
start of an episode; what lies before the oldest entry is shown as that entry was (chosen).
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.sim.scene import BOX_CHANNELS, SceneArrays


@wp.struct
class History:
    """The last steps of every world. The entry of clock c is number c modulo the entries."""

    clock: wp.array2d(dtype=int)  # (world, entry) step it was noted at, -1 where none was
    seed: wp.array(dtype=wp.uint32)  # (world) of the run that the entries belong to
    latest: wp.array(dtype=int)  # (world) newest step noted, -1 before the first
    boxes: wp.array4d(dtype=float)  # (world, entry, BOX_CHANNELS, agent), as `SceneArrays.boxes`
    stopped: wp.array3d(dtype=int)  # (world, entry, agent) stop line a full stop was made at, or -1


def allocate_history(worlds: int, agents: int, entries: int, device: object) -> object:
    """A `History` with nothing in it."""
    history = History()
    history.clock = wp.full((worlds, entries), -1, dtype=int, device=device)
    history.seed = wp.zeros(worlds, dtype=wp.uint32, device=device)
    history.latest = wp.full(worlds, -1, dtype=int, device=device)
    history.boxes = wp.zeros(
        (worlds, entries, int(BOX_CHANNELS), agents), dtype=float, device=device
    )
    history.stopped = wp.zeros((worlds, entries, agents), dtype=int, device=device)
    return history


@wp.kernel(enable_backward=False)
def note_worlds(
    # scene in
    scene: SceneArrays,
    # in, out
    history: History,
):
    """Keeps the present step of each world; one whose clock went back begins anew."""
    world = wp.tid()
    clock = scene.clock[world]
    entries = history.clock.shape[1]
    if history.seed[world] != scene.seed[world] or clock < history.latest[world]:
        for entry in range(entries):
            history.clock[world, entry] = -1
    history.seed[world] = scene.seed[world]
    history.latest[world] = clock
    entry = clock % entries
    history.clock[world, entry] = clock
    agents = scene.agent_count[world]
    for channel in range(BOX_CHANNELS):
        for agent in range(agents):
            history.boxes[world, entry, channel, agent] = scene.boxes[world, channel, agent]
    for agent in range(agents):
        history.stopped[world, entry, agent] = scene.duty[world, agent].stopped_control


@wp.func
def clock_before(
    history: History, world: int, clock: int, dt: float, age: float, past: float
) -> int:
    """The noted step nearest to a time in the past.

    Args:
        history: the last steps.
        world: whose.
        clock: its present step, which is noted.
        dt: its time step [s].
        age: how long the road user that looks back has been there [s]; it sees no further.
        past: how long ago [s].
    """
    steps = wp.min(int(past / dt + 0.5), int(age / dt + 0.5))
    at = wp.max(clock - steps, 0)
    entries = history.clock.shape[1]
    # A step that nobody noted is stood for by the next one that was.
    while at < clock and history.clock[world, at % entries] != at:
        at += 1
    return at
