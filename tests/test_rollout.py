from gigalane.rollout import roll_out


class CountingWorld:
    """Counts its steps; stands in for a world where only the order of calls matters."""

    def __init__(self) -> None:
        self.time = 0
        self.taken: list[int] = []

    def step(self, actions: int) -> None:
        self.time += 1
        self.taken.append(actions)


class Doubling:
    """Acts on what it sees: twice the world's time."""

    def act(self, world: CountingWorld) -> int:
        return 2 * world.time


class Diary:
    """Writes down what it is told and what the world shows at that moment."""

    def __init__(self, entries: list) -> None:
        self.entries = entries

    def before(self, step: int, world: CountingWorld, actions: int) -> None:
        self.entries.append(("before", step, world.time, actions))

    def after(self, step: int, world: CountingWorld) -> None:
        self.entries.append(("after", step, world.time))


def test_observers_see_the_world_before_and_after_each_step():
    world, entries = CountingWorld(), []
    roll_out(world, Doubling(), 2, Diary(entries))
    assert entries == [("before", 0, 0, 0), ("after", 0, 1), ("before", 1, 1, 2), ("after", 1, 2)]
    assert world.taken == [0, 2]


def test_roll_out_goes_on_from_where_the_world_stands():
    world = CountingWorld()
    roll_out(world, Doubling(), 3)
    roll_out(world, Doubling(), 2)
    assert world.taken == [0, 2, 4, 6, 8]


def test_observers_are_told_in_order():
    entries: list = []
    first, second = Diary(entries), Diary(entries)
    order: list[str] = []
    first.before = lambda *_: order.append("first")
    second.before = lambda *_: order.append("second")
    roll_out(CountingWorld(), Doubling(), 1, first, second)
    assert order == ["first", "second"]
