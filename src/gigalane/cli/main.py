"""gigalane: a car learns to drive by self-play, learns to see, and proves it closed-loop.

Usage: gigalane COMMAND [OPTIONS]     (gigalane COMMAND --help tells more)

  demo       train a small driver, evaluate it, and write a report and a replay page
  map        import, inspect and picture road networks
  train      teach a policy to drive by self-play
  distill    teach a camera policy to drive by what it sees
  align      give a driver eyes: adapters between a frozen vision backbone and its slots
  adapt      get a camera policy used to images of another appearance
  evaluate   drive a policy or a script through worlds and count what happens
  view       turn recordings into a replay page or a film
  bench      measure the speed of the simulator, the learner and the policy

Files are OpenDRIVE maps (.xodr, .xodr.gz), maps saved by `gigalane map import` (.npz), and
policies (.safetensors). `town:SEED` stands for a procedural town, `town:1-8` for eight of them.
Commands end with 0 where all went well, 1 where they failed, 2 for bad input.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import logging
import sys
from collections.abc import Iterator

COMMANDS = ("demo", "map", "train", "distill", "align", "adapt", "evaluate", "view", "bench")


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: words after `gigalane`; those of the process by default.

    Returns:
        0 where all went well, 1 where the command failed, 2 for bad input.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0
    if words[0] == "--version":
        from gigalane import __version__

        print(f"gigalane {__version__}")
        return 0
    if words[0] not in COMMANDS:
        close = difflib.get_close_matches(words[0], COMMANDS, 1)
        hint = f"; perhaps you meant {close[0]}" if close else ""
        print(
            f"gigalane: no command {words[0]!r}; there are {', '.join(COMMANDS)}{hint}",
            file=sys.stderr,
        )
        return 2
    from gigalane.cli.errors import one_line_errors

    with _news_on_stderr(), one_line_errors() as outcome:
        module = importlib.import_module(f"gigalane.cli.{words[0]}_command")
        outcome.code = module.run(words[1:]) or 0
        sys.stdout.flush()
    return outcome.code


@contextlib.contextmanager
def _news_on_stderr() -> Iterator[None]:
    """Shows what the library has to tell, such as that it compiles kernels first."""
    logger, handler = logging.getLogger("gigalane"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("gigalane: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


if __name__ == "__main__":
    sys.exit(main())
