"""Colours, once, for the map picture, the replay page and the film.

Roads are quiet and road users are not: the map keeps to greys of one hue, drivers take calm
categorical colours, and red, amber and green are kept for what they mean to a driver.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENT_TONES = {
    "reached_goal": "good",
    "reached_waypoint": "quiet",
    "missed_goal": "note",
    "timed_out": "note",
}
"""How an event is treated: "good" and "note" are listed, "quiet" is not at first; every other
event is an incident, which is also counted."""


@dataclass(frozen=True)
class Palette:
    """Colours as #rrggbb.

    Attributes:
        name: "light" or "dark".
        map_colors: by role of a map shape; "land" is the background.
        light_colors: of a stop line by light state: off, green, yellow, red.
        driver_colors: by index into a recording's driver names, repeating.
        event_colors: by event name; "" is any other event.
        ink: text and outlines.
        muted: secondary text.
        glass: windows of a vehicle.
        brake: brake lights that are lit.
        highlight: what is being followed.
    """

    name: str
    map_colors: dict[str, str]
    light_colors: tuple[str, str, str, str]
    driver_colors: tuple[str, ...]
    event_colors: dict[str, str]
    ink: str
    muted: str
    glass: str
    brake: str
    highlight: str


def mixed(start: str, end: str, share: float) -> str:
    """A colour on the way from one to another, all #rrggbb; share 0 is the first."""
    parts = [[int(color[k : k + 2], 16) for k in (1, 3, 5)] for color in (start, end)]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(*parts, strict=True))


LIGHT = Palette(
    name="light",
    map_colors={
        "land": "#f3f2ee",
        "void": "#ebe9e4",
        "sidewalk": "#e3e1db",
        "median": "#dde4d3",
        "rail": "#d6d1c9",
        "road": "#bcc1c9",
        "shoulder": "#b2b7bf",
        "parking": "#b3b9c6",
        "bicycle": "#c6b3ae",
        "bus": "#c2bcb0",
        "edge": "#8d939d",
        "curb": "#8d939d",
        "barrier": "#6b717b",
        "mark_white": "#ffffff",
        "mark_yellow": "#f0c541",
        "mark_blue": "#6f9fe0",
        "mark_red": "#d9796d",
        "crossing": "#ffffff",
        "arrow": "#e9ebee",
        "stop_line": "#ffffff",
        "sign_stop": "#c8372d",
        "sign_yield": "#ffffff",
        "signal": "#2c3138",
    },
    light_colors=("#ffffff", "#12a150", "#f0a30a", "#e5342b"),
    driver_colors=("#2563d8", "#c2528b", "#8a6242", "#7c55c7", "#0d8a83", "#5d6b82"),
    event_colors={
        "collided": "#d92d20",
        "off_road": "#d9660b",
        "ran_red": "#c11574",
        "ran_stop": "#a8327e",
        "out_of_turn": "#7a4fb0",
        "wrong_way": "#9a6b00",
        "reached_goal": "#12804a",
        "reached_waypoint": "#5d9c7d",
        "missed_goal": "#7a6a4f",
        "timed_out": "#69707c",
        "": "#5d6b82",
    },
    ink="#1b1f26",
    muted="#69707c",
    glass="#1d2a3c",
    brake="#ff3b30",
    highlight="#0b57e3",
)

DARK = Palette(
    name="dark",
    map_colors={
        "land": "#101317",
        "void": "#15181d",
        "sidewalk": "#1a1e24",
        "median": "#162019",
        "rail": "#211f1d",
        "road": "#2c3139",
        "shoulder": "#262b32",
        "parking": "#272d38",
        "bicycle": "#382f2e",
        "bus": "#35322c",
        "edge": "#4e5561",
        "curb": "#4e5561",
        "barrier": "#6d7480",
        "mark_white": "#a9b0ba",
        "mark_yellow": "#b8942f",
        "mark_blue": "#4c74ad",
        "mark_red": "#9c574e",
        "crossing": "#a9b0ba",
        "arrow": "#5a626e",
        "stop_line": "#c5cbd3",
        "sign_stop": "#d9493f",
        "sign_yield": "#c5cbd3",
        "signal": "#c5cbd3",
    },
    light_colors=("#c5cbd3", "#2fd07c", "#ffb92e", "#ff5a4f"),
    driver_colors=("#5c9bff", "#ea86b6", "#c39a74", "#a98bf0", "#35bfb5", "#93a1b8"),
    event_colors={
        "collided": "#ff6257",
        "off_road": "#ff9142",
        "ran_red": "#f56bb4",
        "ran_stop": "#dd7fbd",
        "out_of_turn": "#b493ea",
        "wrong_way": "#e0b13d",
        "reached_goal": "#41c98a",
        "reached_waypoint": "#6fa78b",
        "missed_goal": "#b8a37c",
        "timed_out": "#8f98a6",
        "": "#93a1b8",
    },
    ink="#e8ebf0",
    muted="#8f98a6",
    glass="#0c1119",
    brake="#ff4d42",
    highlight="#7db2ff",
)
