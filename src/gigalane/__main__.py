"""`python -m gigalane` is the command `gigalane`, as launchers such as torchrun start it."""

import sys

from gigalane.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
