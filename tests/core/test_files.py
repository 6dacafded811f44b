"""Files that appear whole or not at all."""

from __future__ import annotations

import pytest

from gigalane.core.files import replacing


def test_a_finished_file_takes_the_place_of_the_old_one(tmp_path):
    target = tmp_path / "film.mp4"
    target.write_text("old")
    with replacing(target) as beside:
        beside.write_text("new")
        assert target.read_text() == "old"
        assert beside.suffix == ".mp4"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path):
    target = tmp_path / "page.html"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    target = tmp_path / "missing" / "page.html"
    with pytest.raises(OSError, match=r"page\.html") as caught, replacing(target) as beside:
        beside.write_text("x")
    assert caught.value.filename == str(target)
