"""gigalane bench: how fast it is."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError
from gigalane.core.files import replacing

if TYPE_CHECKING:
    from gigalane.bench.speed import Measurement
    from gigalane.bench.workloads import Workload

Out = Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
Threads = Annotated[int, tyro.conf.arg(metavar="N")]
Device = Annotated[str, tyro.conf.arg(metavar="NAME")]
Numbers = Annotated[tuple[int, ...], tyro.conf.arg(metavar="N [N ...]")]


@dataclass(frozen=True)
class Bench:
    """Measures speed: medians over repeats, with their spread and all settings beside them.

    WHAT can be measured:
      sim      agent-steps a second, all stages on, random actions, observations written
      train    samples a second end to end: simulated, acted on and offered to PPO
      render   frames a second of cameras and of the bird's-eye raster
      latency  time of one decision of the network

    Each also looks at what it made and fails (exit code 1) where road users do not drive, pictures
    show nothing or a number is none. Two more commands have help of their own:
      bench compare  two measurements beside each other
      bench sweep    cost over worlds, road users and maps, as a picture

    Examples:
      gigalane bench sim
      gigalane bench sim --workload large --threads 1 --trace
      gigalane bench train -o train.json
      gigalane bench render --workload four-cameras --threads 2
      gigalane bench sim --workload list
    """

    what: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="WHAT")]
    """sim, train, render, latency, compare or sweep."""
    workload: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """What to run; `--workload list` shows them. By default training for train, front-class-depth
    for render, else small."""
    device: Device = "cpu"
    """Where it runs: cpu, cuda, or cuda:1 and so on."""
    threads: Threads = 0
    """CPU threads; 0 is one a core."""
    repeats: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """How often it is measured; 0 is the usual number."""
    trace: bool = False
    """Also print where the time goes, stage by stage."""
    json: bool = False
    """Print JSON."""
    out: Out = None
    """Also write the JSON to this file, for bench compare."""


@dataclass(frozen=True)
class BenchCompare:
    """Puts two measurements of the same benchmark beside each other.

    Ratios above 1 mean that the second is better: faster, or cheaper. Where the spreads of both
    overlap, the difference may be chance. Settings and machines that differ are named.

    Examples:
      gigalane bench compare before.json after.json
      gigalane bench compare before.json after.json --fail-below 0.95
    """

    first: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FIRST")]
    """A file that bench wrote (-o)."""
    second: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SECOND")]
    """Another, of the same benchmark."""
    fail_below: Annotated[float, tyro.conf.arg(metavar="RATIO")] = 0.0
    """End with exit code 1 if the ratio of any figure is lower."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class BenchSweep:
    """Measures how the cost of an agent-step grows with worlds, road users and maps.

    Writes a picture, and a file of all numbers beside it. Batches that do not fit in memory are
    left out and named. The usual sweep takes about ten minutes.

    Examples:
      gigalane bench sweep -o sweep.png
      gigalane bench sweep --worlds 32 512 4096 --agents 32 --maps 1 --threads 1
    """

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path("sweep.png")
    """The picture (.png, also where no suffix is given); the numbers go beside it (.json)."""
    worlds: Numbers = (32, 128, 512, 2048, 8192, 32_768)
    """Numbers of worlds."""
    agents: Numbers = (32, 8, 64)
    """Numbers of road users in each; the first is also tried on every number of maps."""
    maps: Numbers = (1, 10, 100)
    """Numbers of procedural towns; the first is also tried with every number of road users."""
    device: Device = "cpu"
    """Where it runs: cpu, cuda, or cuda:1 and so on."""
    threads: Threads = 0
    """CPU threads; 0 is one a core."""
    repeats: Annotated[int, tyro.conf.arg(metavar="N")] = 3
    """How often each batch is measured."""
    json: bool = False
    """Print JSON."""


KINDS = ("sim", "train", "render", "latency", "compare", "sweep")
_USUAL = {"sim": "small", "train": "training", "render": "front-class-depth", "latency": "small"}
"""Workload of a benchmark where none is named."""


def run(words: Sequence[str]) -> int:
    """Runs `gigalane bench`."""
    if words and words[0] == "compare":
        return _compare(parse(BenchCompare, words[1:], "bench compare"))
    if words and words[0] == "sweep":
        return _sweep(parse(BenchSweep, words[1:], "bench sweep"))
    command = parse(Bench, words, "bench")
    if command.what not in KINDS:
        raise InputError(f"bench {command.what!r}: there are {', '.join(KINDS)}")
    if command.what not in _USUAL:
        raise InputError(f"bench {command.what}: write it first, as gigalane bench {command.what}")
    _check_numbers(command.threads, command.repeats)
    if command.trace and command.what in ("latency", "render"):
        raise InputError(f"bench {command.what}: has no stages; leave out --trace")
    if command.out:
        _check_place(command.out, ".json")
    if command.workload == "list":
        for name, workload in _workloads(command.what).items():
            print(f"{name:18} {workload.description}")
        return 0
    found = _measure(command)
    facts = found.as_json()
    if command.out:
        _write(facts, command.out)
    if command.json:
        print(json.dumps(facts, indent=2))
    else:
        _tell(found)
    return 0


def _workloads(what: str) -> Mapping[str, Workload]:
    """What a benchmark can run, by name."""
    if what == "render":
        from gigalane.bench.rendering import RENDER_WORKLOADS

        return RENDER_WORKLOADS
    from gigalane.bench.workloads import WORKLOADS

    return WORKLOADS


def _measure(command: Bench) -> Measurement:
    """Runs the benchmark that is asked for."""
    from gigalane.bench.latency import bench_latency
    from gigalane.bench.rendering import RENDER_WORKLOADS, bench_rendering
    from gigalane.bench.simulate import bench_simulator
    from gigalane.bench.training import bench_training
    from gigalane.bench.workloads import WORKLOADS, workload_named
    from gigalane.core.kernels import require_device

    name = command.workload or _USUAL[command.what]
    how: dict[str, Any] = {
        "device": command.device,
        "threads": command.threads,
        "repeats": command.repeats,
    }
    if command.what == "render":
        drawn = workload_named(name, RENDER_WORKLOADS)
        require_device(command.device)
        return bench_rendering(drawn, **how)
    workload = workload_named(name, WORKLOADS)
    require_device(command.device)
    if command.what == "sim":
        return bench_simulator(workload, **how, traced=command.trace)
    if command.what == "train":
        return bench_training(workload, **how, traced=command.trace)
    return bench_latency(workload, **how)


def _tell(found: Measurement) -> None:
    """Prints a measurement for people."""
    from gigalane.core.trace import table

    rows: list[tuple[str, object]] = [
        (name, f"{one.value:,.5g} ({one.low:,.5g} to {one.high:,.5g}) {one.unit}")
        for name, one in found.figures.items()
    ]
    rows += found.beside.items()
    rows += [(f"outcome {name}", f"{value:.4g}") for name, value in found.outcome.items()]
    machine = found.machine
    on = machine.accelerator or machine.processor
    rows += [
        ("workload", f"{found.settings['workload']}: {found.settings['description']}"),
        ("maps", " ".join(found.settings["maps"])),
        ("repeats", found.repeats),
        ("device", f"{found.device}, {on}, {found.threads} threads of {machine.cores} cores"),
        ("other load", f"{found.other_load:.2f} cores busy for others"),
        ("peak memory", f"{found.peak_memory_mb:,} MB"),
        ("versions", f"Warp {machine.warp}, torch {machine.torch}, Python {machine.python}"),
    ]
    for name, value in rows:
        print(f"{name.replace('_', ' '):24} {value}")
    if found.stages:
        print(f"\n{found.note}\n{table(found.stages)}")


def _compare(command: BenchCompare) -> int:
    """Runs `gigalane bench compare`."""
    from gigalane.bench.compare import compare, table

    if command.fail_below < 0:
        raise InputError(f"--fail-below is {command.fail_below}; give a ratio of 0 or more")
    found = compare(command.first, command.second)
    if command.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        print(table(found, (command.first.stem, command.second.stem)))
    slower = found.slower_than(command.fail_below)
    if slower:
        told = ", ".join(f"{one.name} {one.ratio:.3f}" for one in slower)
        print(f"gigalane: below {command.fail_below:g}: {told}", file=sys.stderr)
    return 1 if slower else 0


def _sweep(command: BenchSweep) -> int:
    """Runs `gigalane bench sweep`."""
    _check_numbers(command.threads, command.repeats, least_repeats=1)
    picture = command.out if command.out.suffix else command.out.with_suffix(".png")
    _check_place(picture, ".png")
    from gigalane.bench.sweep import SweepSettings, sweep
    from gigalane.bench.sweep_picture import draw_sweep
    from gigalane.core.kernels import require_device

    settings = SweepSettings(command.worlds, command.agents, command.maps, command.repeats)
    require_device(command.device)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    found = sweep(settings, device=command.device, threads=command.threads, tell=tell)
    for line in found.left_out:
        tell(f"left out: {line}")
    facts = found.as_json()
    machine = found.facts["machine"]
    on = machine.accelerator or machine.processor
    draw_sweep(found.points, picture, f"Cost of simulating, {on}")
    _write(facts, picture.with_suffix(".json"))
    if command.json:
        print(json.dumps(facts, indent=2))
    else:
        print(f"{picture}\n{picture.with_suffix('.json')}")
    return 0


def _check_numbers(threads: int, repeats: int, least_repeats: int = 0) -> None:
    """Refuses numbers that nothing can be measured with."""
    if not 0 <= threads <= 1024:
        raise InputError(f"--threads is {threads}; give 1 to 1024, or 0 for one a core")
    if not least_repeats <= repeats <= 1000:
        usual = ", or 0 for the usual number" if least_repeats == 0 else ""
        raise InputError(f"--repeats is {repeats}; give 1 to 1000{usual}")


class _NotYetError(Exception):
    """Takes back a file that was only tried."""


def _check_place(path: Path, suffix: str) -> None:
    """Refuses a file that cannot be written, before anything is measured."""
    if path.is_dir() or path.suffix.lower() != suffix:
        raise InputError(f"{path}: is written as {suffix}; name such a file")
    with contextlib.suppress(_NotYetError), replacing(path) as beside:
        beside.touch()
        raise _NotYetError


def _write(facts: dict[str, Any], path: Path) -> None:
    """Writes figures as JSON."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
