"""Films a recording from above: mp4 through PyAV (the extra `video`)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gigalane.core.files import replacing
from gigalane.sim.recording import Recording, RecordingError
from gigalane.viewer.film import film_frames
from gigalane.viewer.film_camera import FilmCamera
from gigalane.viewer.palette import DARK, Palette


def write_video(
    recording: Recording,
    path: str | os.PathLike[str],
    follow: int | None = None,
    size: tuple[int, int] = (1280, 720),
    fps: int = 30,
    palette: Palette = DARK,
    camera: FilmCamera | None = None,
    seconds: float | None = None,
) -> None:
    """Writes a film at the pace of real time.

    Args:
        recording: what to film.
        path: the .mp4 file to write or replace.
        follow: slot of the road user to keep in the middle, or None for the whole map.
        size: width and height in pixels; even numbers.
        fps: pictures a second.
        palette: colours.
        camera: what a road user sees, shown beside the map; made for pictures of this size.
        seconds: how much of the recording; all by default.

    Raises:
        RecordingError: PyAV is not installed, or the slot, size or fps make no film.
        OSError: the file cannot be written.
    """
    try:
        import av
    except ImportError:
        reason = "needs PyAV; install it with: pip install 'gigalane[video]'"
        raise RecordingError(os.fspath(path), "mp4", reason) from None
    if follow is not None and not 0 <= follow < recording.agents:
        reason = f"slot {follow} does not exist; choose 0 to {recording.agents - 1}"
        raise RecordingError(os.fspath(path), "follow", reason)
    if min(size) < 64 or size[0] % 2 or size[1] % 2 or not 1 <= fps <= 240:
        reason = f"{size[0]} x {size[1]} at {fps}/s; sides are even and 64 up, pictures 1 to 240/s"
        raise RecordingError(os.fspath(path), "size", reason)
    with replacing(path) as beside, av.open(os.fspath(beside), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "19", "preset": "fast"}
        for picture in film_frames(recording, follow, size, fps, palette, camera, seconds):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture))))
        container.mux(stream.encode())
