"""Facts of a task that may not begin yet: its moment has not come, or too many others are worked on."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from trunkline.contracts.message import Fact


class TaskDelayed(Fact):
    """Nobody may take it before `until`: then it is assigned, and held if it must be allowed."""

    type: Literal["task.delayed"] = "task.delayed"
    until: datetime
    gated: bool = False
    """Whether it will be held then, by the rules that hold now."""


class TaskAwaitsPlace(Fact):
    """Only so many may be worked on at once: it is released when another ends."""

    type: Literal["task.awaits_place"] = "task.awaits_place"
    full: tuple[str, ...]
    """What has no place left: `tenant`, `repository`, `agent`."""


class TaskPlaceGiven(Fact):
    """It has a place until it ends, and is released."""

    type: Literal["task.place_given"] = "task.place_given"
