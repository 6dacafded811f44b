"""gigalane: a car learns to drive by self-play, learns to see, and proves it closed-loop.

Usage: gigalane COMMAND [OPTIONS]     (gigalane COMMAND --help tells more)

  demo       train a small driver, evaluate it, and write a report and a replay page
  map        import, inspect and picture road networks
  train      teach a policy to drive by self-play
  evaluate   drive a policy or a script through worlds and count what happens
  view       turn recordings into a replay page or a film
  bench      measure the speed of the simulator, the learner and the policy

Files are OpenDRIVE maps (.xodr, .xodr.gz), maps saved by `gigalane map import` (.npz), and
policies (.safetensors). `town:SEED` stands for a procedural town, `town:1-8` for eight of them.
"""

from __future__ import annotations

import importlib
import sys

COMMANDS = ("demo", "map", "train", "evaluate", "view", "bench")


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
        print(f"gigalane: no command {words[0]!r}; there are {', '.join(COMMANDS)}",
              file=sys.stderr)
        return 2
    from gigalane.cli.errors import one_line_errors

    with one_line_errors() as outcome:
        module = importlib.import_module(f"gigalane.cli.{words[0]}_command")
        outcome.code = module.run(words[1:]) or 0
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
