import re

import pytest

from gigalane import __version__
from gigalane.cli import main

COMMANDS = (
    *("demo", "map import", "map info", "map view", "train", "distill", "align", "adapt"),
    *("evaluate", "view", "bench", "bench compare", "bench sweep"),
)


def test_bare_call_and_help_list_every_command(gigalane):
    assert {command.split()[0] for command in COMMANDS} == set(main.COMMANDS)
    for words in ((), ("--help",), ("-h",), ("help",)):
        answer = gigalane(*words)
        assert answer.code == 0
        assert answer.err == ""
        for command in main.COMMANDS:
            assert re.search(rf"^  {command} +\w", answer.out, re.MULTILINE)


def test_version_is_the_packages(gigalane):
    assert gigalane("--version").out == f"gigalane {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_fits_a_terminal_and_has_examples_that_name_it(gigalane, command):
    answer = gigalane(*command.split(), "--help")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.out.startswith(f"usage: gigalane {command} ")
    assert f"\n  gigalane {command}" in answer.out[answer.out.index("Examples:") :]
    assert "{None}" not in answer.out
    assert "|--no" not in answer.out
    options = answer.out[answer.out.index("Examples:") :]
    assert max(len(line) for line in options.splitlines()) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_explained(gigalane, command):
    text = gigalane(*command.split(), "--help").out
    lines = [line.strip("│ ") for line in text[text.index("options ") :].splitlines()]
    entries = re.split(r"\n(?=--?[a-z])", "\n".join(line for line in lines if line.strip("-─")))
    assert len(entries) >= 2
    for entry in entries[1:]:
        words = re.sub(r"\(default:[^)]*\)|-{1,2}\w[\w.-]*|[A-Z]{2,}", " ", entry)
        assert re.search("[a-z]{3}", words), entry


def test_map_help_names_its_actions(gigalane):
    for words in (("map",), ("map", "--help")):
        answer = gigalane(*words)
        assert answer.code == 0
        assert all(action in answer.out for action in ("import", "info", "view"))


def test_examples_in_the_help_are_commands_that_parse(gigalane, monkeypatch):
    from gigalane.cli import arguments

    class ParsedError(Exception):
        pass

    def parsed(*words):
        raise ParsedError

    monkeypatch.setattr(arguments, "_numbers", parsed)  # the first thing after parsing
    for command in COMMANDS:
        text = gigalane(*command.split(), "--help").out
        examples = re.findall(r"^ +gigalane (.+)$", text, re.MULTILINE)
        assert len(examples) >= 2
        for example in examples:
            with pytest.raises(ParsedError):
                gigalane(*example.split())


def test_misspelt_words_are_answered_with_what_there_is(refused):
    assert "perhaps you meant evaluate" in refused("evalute")
    assert "there are import, info, view" in refused("map", "improt")
    assert "perhaps you meant --seed" in refused("evaluate", "idm", "--sed", "3")
    assert "see gigalane evaluate --help" in refused("evaluate", "idm", "--whatever")
