import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys
import warp as wp
from gigalane.core.kernels import load_kernels

@wp.kernel(enable_backward=False)
def double(values: wp.array(dtype=float)):
    values[wp.tid()] = values[wp.tid()] * 2.0

logging.basicConfig(level=logging.INFO, format="news: %(message)s", stream=sys.stderr)
load_kernels(double)
load_kernels(double)
values = wp.array([1.0, 2.0], dtype=float, device="cpu")
wp.launch(double, dim=2, inputs=[values], device="cpu")
print(values.numpy().tolist())
"""


@pytest.fixture
def run(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    surroundings = {**os.environ, "WARP_CACHE_PATH": str(tmp_path / "cache")}

    def once() -> tuple[str, str]:
        found = subprocess.run(
            [sys.executable, file], env=surroundings, capture_output=True, text=True, check=True
        )
        return found.stdout, found.stderr

    return once


def test_compiling_is_announced_once_and_only_where_the_cache_is_cold(run):
    out, news = run()
    assert out == "[2.0, 4.0]\n"
    assert news == "news: compiling the simulator's kernels, once: 10 to 30 s\n"
    out, news = run()
    assert out == "[2.0, 4.0]\n"
    assert news == ""


def test_starting_kernels_leaves_stderr_where_it_was(capfd):
    from gigalane.core import kernels

    before = os.fstat(2)
    with kernels._driver_may_be_missing():
        pass
    after = os.fstat(2)
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_complaints_are_kept_while_there_is_no_driver_and_heard_where_there_is(capfd, monkeypatch):
    from gigalane.core import kernels

    for has_driver, heard in ((False, ""), (True, "a driver that fails\n")):
        monkeypatch.setattr(kernels, "_has_driver", lambda there=has_driver: there)
        with kernels._driver_may_be_missing():
            os.write(2, b"a driver that fails\n")
        assert capfd.readouterr().err == heard


def test_every_start_of_warp_goes_through_the_quiet_one():
    source = Path(__file__).parents[2] / "src" / "gigalane"
    loud = [
        file.name
        for file in source.rglob("*.py")
        if file.name != "kernels.py" and "wp.init(" in file.read_text(encoding="utf-8")
    ]
    assert loud == []
