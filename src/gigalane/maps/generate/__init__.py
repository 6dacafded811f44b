"""Procedural towns: `generate_town` draws one from a seed."""

from gigalane.maps.generate.settings import TINY_TOWN, TownSettings
from gigalane.maps.generate.town import generate_town

__all__ = ["TINY_TOWN", "TownSettings", "generate_town"]
