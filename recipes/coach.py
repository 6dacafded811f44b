"""The bird's-eye coach: Roach's method in self-play on sixteen procedural towns.

    python recipes/coach.py runs/coach [small|paper] [--resume]

`small` looks at 64 x 64 pixels of one bit a channel and learns in under an hour on two CPU cores;
`paper` has Roach's raster, network and iterations, for a GPU. What is the paper's and what is not
is said in `gigalane.train.coach`. `gigalane train RUN --eyes birdview` runs `small`, too, and
takes every setting.
"""

import argparse
from pathlib import Path

from gigalane.maps.sources import open_maps
from gigalane.train.coach import CoachRecipe
from gigalane.train.selfplay import self_play

TOWNS = ("town:1-16",)
RECIPES = {"small": CoachRecipe.small, "paper": CoachRecipe.paper}


def main() -> None:
    """Trains, or goes on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("size", choices=RECIPES, default="small", nargs="?")
    parser.add_argument("--resume", action="store_true", help="go on with that run")
    options = parser.parse_args()
    recipe = RECIPES[options.size]()
    self_play(
        open_maps(TOWNS),
        recipe.world,
        recipe.train,
        options.run,
        resume=options.resume,
        sources=TOWNS,
        device="cpu" if options.size == "small" else "cuda",
        eyes=recipe.birdview,
    )


if __name__ == "__main__":
    main()
