import torch

from gigalane.networks.cell_pool import CellPool

CELLS, CHANNELS, CONDITIONS, NUMBERS = 6, 5, 3, 7


def make() -> CellPool:
    torch.manual_seed(2)
    pool = CellPool(CELLS, CHANNELS, CONDITIONS, NUMBERS)
    torch.nn.init.normal_(pool.out.bias)
    return pool


def shown(rows=4):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(rows, CELLS, CHANNELS, generator=generator), torch.rand(
        rows, CONDITIONS, generator=generator
    )


def test_the_greatest_answer_of_all_cells_comes_out():
    pool, (cells, told) = make(), shown()
    seen, where, heard = pool.read.weight.split([CHANNELS, CELLS, CONDITIONS], dim=1)
    for row in range(len(cells)):
        answers = []
        for cell in range(CELLS):
            hidden = (seen @ cells[row, cell] + where[:, cell] + heard @ told[row]).relu()
            answers.append(pool.out.weight @ hidden + pool.out.bias)
        wanted = torch.stack(answers).max(0).values.relu()
        torch.testing.assert_close(pool(cells, told)[row], wanted)


def test_cells_that_are_known_alike_may_change_places():
    pool, (cells, told) = make(), shown()
    swapped = cells[:, torch.tensor([3, 0, 5, 1, 2, 4])]
    assert not torch.allclose(pool(cells, told), pool(swapped, told))
    with torch.no_grad():
        pool.read.weight[:, CHANNELS : CHANNELS + CELLS] = 0.3
    torch.testing.assert_close(pool(cells, told), pool(swapped, told))


def test_everything_in_it_learns():
    pool, (cells, told) = make(), shown(50)
    pool(cells, told).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in pool.parameters())
    assert (pool.read.weight.grad.abs().sum(0) > 0).all()
    assert set(pool.state_dict()) == {"read.weight", "out.weight", "out.bias"}
