"""gigalane view: look at what happened."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError
from gigalane.cli.progress import bar
from gigalane.core.settings import SettingsError

if TYPE_CHECKING:
    from gigalane.render.appearance import Appearance
    from gigalane.render.camera import Rig
    from gigalane.sim.recording import Recording
    from gigalane.viewer.eyes import Eyes

USUAL_RIG = "front"
"""The rig of `--camera` without a name."""
USUAL_AGENTS = 3
"""Road users whose pictures a page of one recording holds; of several recordings one each."""
SIDES = (8, 2048)
"""Least and most pixels of a picture's side."""


@dataclass(frozen=True)
class View:
    """Turns recordings into one replay page that opens without a network, or into a film.

    A run is a folder with recordings, as `gigalane evaluate --record` writes, or a recording
    file; also the file that a simulation leaves when a number in it left all bounds.
    With --camera, what road users see is drawn from the recording and shown beside the map.

    Examples:
      gigalane view found
      gigalane view found/recording-0.npz -o first.html
      gigalane view found/recording-0.npz -o first.mp4 --follow 3
      gigalane view found --camera
      gigalane view found --camera six --agent 3 7 --seconds 20
      gigalane view found -o eyes.mp4 --camera surround --appearance varied
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder or recording (.npz)."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """Page (.html) or film (.mp4) to write; by default replay.html beside the recordings."""
    follow: Annotated[int | None, tyro.conf.arg(metavar="AGENT")] = None
    """Road user that a film follows; by default the one with the camera, or the whole map."""
    camera: Annotated[str | None, tyro.conf.arg(metavar="[RIG]")] = None
    """Show what road users see: by rig front (if none is named), four, six, surround,
    surround-small or a file."""
    agent: Annotated[tuple[int, ...], tyro.conf.arg(metavar="K [K ...]")] = ()
    """Road users with a camera; by default those that drive farthest, three in a page."""
    size: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Pixels of each camera's picture, such as 96x64; by default as many as there is room for."""
    appearance: Literal["plain", "varied", "dusk", "textured"] = "plain"
    """What the world looks like: one clear day, the varied looks that students train on, dusk, or a
    textured world that stands in for a real camera."""
    seconds: Annotated[float | None, tyro.conf.arg(metavar="S")] = None
    """How much of the recording cameras show, and how long a film is [s]; all by default."""


def run(words: Sequence[str]) -> int:
    """Runs `gigalane view`."""
    command = parse(View, _with_rig(words), "view")
    _check(command)
    files, folder = [command.run], command.run.parent
    if command.run.is_dir():
        folder = command.run
        files = sorted(folder.glob("recording*.npz")) or sorted(folder.glob("*.npz"))
    if not files:
        raise InputError(f"{command.run}: holds no recording; make one with evaluate --record")
    out = command.out or folder / "replay.html"
    if out.suffix not in (".html", ".mp4"):
        raise InputError(f"{out}: write a page (.html) or a film (.mp4)")
    rig = _rig(command) if command.camera is not None else None
    from gigalane.sim.recording import Recording

    recordings = [Recording.load(file) for file in files]
    if out.suffix == ".mp4":
        _write_film(command, recordings[0], rig, out)
    else:
        from gigalane.viewer.replay import write_replay

        write_replay(recordings, out, _eyes(command, recordings, rig) if rig else ())
    print(out)
    return 0


def _with_rig(words: Sequence[str]) -> list[str]:
    """The arguments with a rig behind every `--camera` that stands alone.

    A word behind it is its rig, unless it is an option or a run: a folder or a recording.
    """
    from gigalane.render.camera import PRESETS

    given: list[str] = []
    for k, word in enumerate(words):
        given.append(word)
        if word == "--camera":
            after = words[k + 1] if k + 1 < len(words) else "-"
            is_run = after not in PRESETS and (Path(after).is_dir() or Path(after).suffix == ".npz")
            if after.startswith("-") or is_run:
                given.append(USUAL_RIG)
    return given


def _check(command: View) -> None:
    """Refuses arguments that contradict each other or cannot be meant."""
    is_film = command.out is not None and command.out.suffix == ".mp4"
    if command.camera is None:
        for name, is_given in (
            ("agent", command.agent),
            ("size", command.size),
            ("appearance", command.appearance != "plain"),
            ("seconds", command.seconds is not None and not is_film),
        ):
            if is_given:
                raise InputError(f"--{name} is about cameras; add --camera")
    if len(set(command.agent)) < len(command.agent):
        raise InputError(f"--agent names a road user twice: {', '.join(map(str, command.agent))}")
    if command.seconds is not None and command.seconds <= 0.0:
        raise InputError(f"--seconds is {command.seconds}; give more than 0")


def _rig(command: View) -> Rig:
    """The rig that was named, its pictures of the size that was asked for."""
    from gigalane.render.camera import load_rig

    rig = load_rig(command.camera or USUAL_RIG)
    if command.size is None:
        return rig
    found = re.fullmatch(r"(\d{1,6})x(\d{1,6})", command.size)
    sides = [int(side) for side in found.groups()] if found else []
    if not sides or not all(SIDES[0] <= side <= SIDES[1] for side in sides):
        raise InputError(f"--size is {command.size!r}; give WIDTHxHEIGHT, such as 96x64, "
                         f"each {SIDES[0]} to {SIDES[1]} pixels")  # fmt: skip
    return rig.resized(*sides)


def _looks(command: View) -> Appearance:
    from gigalane.render.appearance import look_named

    return look_named(command.appearance)


def _eyes(command: View, recordings: Sequence[Recording], rig: Rig) -> list[Eyes]:
    """What cameras saw in each recording; tells on stderr what a page has no room for."""
    from gigalane.viewer.eyes import (
        MOST_BYTES,
        busiest_agents,
        check_mosaic,
        page_rig,
        take_pictures,
    )
    from gigalane.viewer.recorded_eyes import RecordedEyes

    rig = rig if command.size else page_rig(rig)
    check_mosaic(rig)
    count = USUAL_AGENTS if len(recordings) == 1 else 1
    chosen = [
        command.agent or busiest_agents(recording, count, command.seconds)
        for recording in recordings
    ]
    found = []
    with bar("drawing what cameras see") as tell:
        for number, (recording, agents) in enumerate(zip(recordings, chosen, strict=True)):
            if not agents:
                raise SettingsError(f"{recording.title}: holds no road user to put a camera on")
            eyes = RecordedEyes(recording, rig, agents, appearance=_looks(command))
            room = MOST_BYTES // len(recordings)

            def told(share: float, first: int = number) -> None:
                tell((first + share) / len(recordings))

            found.append(take_pictures(eyes, command.seconds, room, told))
    fewest = min(found, key=lambda one: one.rate / one.wanted)
    if fewest.rate < 0.95 * fewest.wanted:
        print(f"gigalane: {fewest.rate:.1f} pictures a second instead of {fewest.wanted:.0f}, to "
              "keep the page small; fewer --agent or --seconds or a smaller --size give more",
              file=sys.stderr)  # fmt: skip
    return found


def _write_film(command: View, recording: Recording, rig: Rig | None, out: Path) -> None:
    """Writes the film of one recording."""
    from gigalane.viewer.video import write_video

    if rig is None:
        write_video(recording, out, follow=command.follow, seconds=command.seconds)
        return
    if len(command.agent) > 1:
        raise InputError("--agent: a film shows what one road user sees; name one")
    from gigalane.viewer.eyes import busiest_agents
    from gigalane.viewer.film_camera import FilmCamera

    wished = [agent for agent in (*command.agent, command.follow) if agent is not None]
    agents = wished or busiest_agents(recording, 1, command.seconds)
    if not agents:
        raise SettingsError(f"{recording.title}: holds no road user to put a camera on")
    camera = FilmCamera(
        recording, rig, agents[0], appearance=_looks(command), keep_size=bool(command.size)
    )
    follow = command.follow if command.follow is not None else agents[0]
    write_video(recording, out, follow=follow, camera=camera, seconds=command.seconds)
