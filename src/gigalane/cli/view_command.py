"""gigalane view: look at what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError


@dataclass(frozen=True)
class View:
    """Turns recordings into one replay page that opens without a network, or into a film.

    A run is a folder with recordings, as `gigalane evaluate --record` writes, or a recording
    file; also the file that a simulation leaves when a number in it left all bounds.

    Examples:
      gigalane view found
      gigalane view found/recording-0.npz -o first.html
      gigalane view found/recording-0.npz -o first.mp4 --follow 3
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder or recording (.npz)."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """Page (.html) or film (.mp4) to write; by default replay.html beside the recordings."""
    follow: Annotated[int | None, tyro.conf.arg(metavar="AGENT")] = None
    """Road user that a film follows; by default it shows the whole map."""


def run(words: Sequence[str]) -> int:
    """Runs `gigalane view`."""
    command = parse(View, words, "view")
    files, folder = [command.run], command.run.parent
    if command.run.is_dir():
        folder = command.run
        files = sorted(folder.glob("recording*.npz")) or sorted(folder.glob("*.npz"))
    if not files:
        raise InputError(f"{command.run}: holds no recording; make one with evaluate --record")
    out = command.out or folder / "replay.html"
    if out.suffix not in (".html", ".mp4"):
        raise InputError(f"{out}: write a page (.html) or a film (.mp4)")
    from gigalane.sim.recording import Recording

    recordings = [Recording.load(file) for file in files]
    if out.suffix == ".mp4":
        from gigalane.viewer.video import write_video

        write_video(recordings[0], out, follow=command.follow)
    else:
        from gigalane.viewer.replay import write_replay

        write_replay(recordings, out)
    print(out)
    return 0
