"""Writes the tables of figures in the README from the JSON files beside this script.

    python benchmarks/tables.py [--check]

A table stands between `<!-- figures: NAME -->` and `<!-- end -->`. `--check` writes nothing and
exits with 1 where a table is not what the files say.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PAGES = (FOLDER.parent / "README.md", FOLDER / "README.md")
TABLE = re.compile(r"(<!-- figures: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

SIMULATOR = (
    ("default", "1,024 road users on CARLA Town01, all stages on"),
    ("peer-puffer", "the same, writing PufferDrive's observation of 1,848 numbers"),
    ("large", "16,384 road users on four procedural towns"),
)
CARLA = (
    ("unseen-dense", "CARLA Town05 and Town10HD, dense"),
    ("unseen-sparse", "CARLA Town05 and Town10HD, sparse"),
)
PROCEDURAL = (
    ("procedural", "four procedural towns, dense"),
    ("procedural-sparse", "four procedural towns, sparse"),
)
SUBJECTS = (("default", "shipped policy"), ("idm", "IDM"))
SHARES = ("goal_rate", "collision_rate", "offroad_rate", "red_light_rate")


def read(name: str) -> dict[str, Any]:
    """One of the files."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def table(head: str, rows: list[list[str]]) -> str:
    """A Markdown table."""
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|" + "---|" * columns]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def rate(name: str) -> str:
    """A measured rate with its spread, in millions or thousands a second."""
    figure = read(name)["figures"]
    first = next(iter(figure.values()))
    unit, scale = ("M", 1e6) if first["value"] >= 1e6 else ("k", 1e3)
    value, low, high = (first[key] / scale for key in ("value", "low", "high"))
    digits = 2 if unit == "M" else 0
    return f"{value:.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f})"


def simulator_speed() -> str:
    """Agent-steps a second of each workload, with two threads and with one."""
    rows = []
    for name, about in SIMULATOR:
        two, one = f"speed/sim-{name}.json", f"speed/sim-{name}-1-thread.json"
        gain = read(two)["agent_steps_per_s"] / read(one)["agent_steps_per_s"]
        command = f"`gigalane bench sim --workload {name}`"
        rows.append([about, rate(two), rate(one), f"{gain:.2f}", command])
    return table("agent-steps/s | two threads | one thread | ratio | command", rows)


def learning_speed() -> str:
    """Samples a second end to end, and the time of a decision."""
    rows = []
    for name in ("train", "train-614k"):
        found = read(f"speed/{name}.json")
        kept = f"{found['kept_fraction']:.0%} kept, {found['epochs']:.0f} epochs"
        workload = "" if name == "train" else f" --workload {name}"
        rows.append(
            [
                f"samples/s end to end, {found['parameters']:,.0f} parameters, {kept}",
                rate(f"speed/{name}.json"),
                f"`gigalane bench train{workload}`",
            ]
        )
    latency = read("speed/latency.json")["figures"]
    first = next(iter(latency.values()))
    rows.append(
        [
            "one decision of the default network",
            f"{first['value']:.2f} ms",
            "`gigalane bench latency`",
        ]
    )
    return table("what | figure | command", rows)


def driver_row(suite: str, subject: str, label: str, step: str) -> list[str]:
    """One row of the drivers' table."""
    found = read(f"driver/{suite}-{subject}-dt{step}.json")

    def spread(name: str, scale: float, digits: int, unit: str) -> str:
        value, low, high = (found[name][key] for key in ("value", "low", "high"))
        numbers = [f"{number * scale:.{digits}f}" for number in (value, low, high)]
        return f"{numbers[0]}{unit} ({numbers[1]} to {numbers[2]})"

    return [
        label,
        f"{step[0]}.{step[1]} s",
        spread("driving_score", 1.0, 3, ""),
        *(spread(name, 100.0, 1, " %") for name in SHARES),
        spread("km_per_incident", 1.0, 2, ""),
    ]


def drivers(suites: tuple[tuple[str, str], ...]) -> str:
    """The shipped policy and IDM on unseen towns."""
    rows = []
    for suite, about in suites:
        rows.append([f"**{about}**", *[""] * 7])
        for subject, label in SUBJECTS:
            rows += [driver_row(suite, subject, label, step) for step in ("01", "03")]
        if suite == "unseen-dense":
            blind = "shipped policy, others hidden from it"
            rows.append(driver_row(suite, "default-blind", blind, "01"))
            rows.append(driver_row(suite, "constant-velocity", "constant velocity", "01"))
    head = "driver | dt | driving score | goal | collision | off-road | red light | km per incident"
    return table(head, rows)


def students() -> str:
    """The shipped camera driver beside its teacher."""
    found = read("students/default-camera.json")["splits"]
    places = {"seen": "towns of the lessons", "unseen": "unseen procedural towns",
              "unseen-carla": "unseen CARLA Town05, Town10HD"}  # fmt: skip
    looks = {"teacher": "teacher, shown the state", "varied": "student, looks of the kind it knows",
             "dusk": "student, looks of another kind"}  # fmt: skip
    rows = []
    for place, about in places.items():
        rows.append([f"**{about}**", *[""] * 6])
        for look, who in looks.items():
            if look not in found[place]:
                continue
            row = found[place][look]
            error = row.get("open_loop")
            score = row["driving_score"]
            rows.append(
                [
                    who,
                    f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})",
                    *(f"{100 * row[name]['value']:.1f} %" for name in SHARES),
                    f"{error['divergence']:.2f} nat, {error['agreement']:.0%}" if error else "",
                ]
            )
    head = (
        "who | driving score | goal | collision | off-road | red light | open loop: KL, same action"
    )
    return table(head, rows)


TABLES = {
    "simulator-speed": simulator_speed,
    "learning-speed": learning_speed,
    "drivers": lambda: drivers(CARLA),
    "drivers-procedural": lambda: drivers(PROCEDURAL),
    "students": students,
}


def written(text: str) -> str:
    """A page with its tables as the files say."""
    return TABLE.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}{found[3]}", text)


def main() -> int:
    """Writes the pages, or checks them."""
    stale = [
        page
        for page in PAGES
        if written(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")
    ]
    for page in stale:
        if "--check" in sys.argv:
            print(f"{page}: a table is not what the files say; run {Path(__file__).name}")
        else:
            page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
            print(f"wrote {page}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
