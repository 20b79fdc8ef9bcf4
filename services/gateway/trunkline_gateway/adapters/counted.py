"""What a limit says of one request: let in or refused, and what is left of the tightest window."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.bus import Hit, Look, Rule
from trunkline.bus.limits import Window
from trunkline_gateway.ports import Quota
from trunkline_gateway.windows import Windows

LOOKS_WITHIN: Final = 0.05
"""Seconds that an answer waits for its headers when the handler was quicker than they."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One window of one caller, asked for while the handler works."""

    rule: Rule
    name: str
    windows: Windows
    look: Look

    async def quota(self) -> Quota:
        """By what this process saw, when the answer is late."""
        window = await self.look.window(LOOKS_WITHIN)
        count, frees_in = (window.count, window.frees_in) if window else self.seen()
        return quota(self.rule.limit, self.rule.limit - count, frees_in)

    def seen(self) -> tuple[int, float]:
        return self.windows.seen(self.name, self.rule.window_s, time.monotonic())


@dataclass(frozen=True, slots=True)
class Open:
    """Let in by every window; `hits` are those that can be given back."""

    looks: Sequence[Looked]
    hits: Sequence[tuple[Rule, Hit]] = ()
    retry_after: int | None = None

    async def quota(self) -> Quota:
        return tightest([await looked.quota() for looked in self.looks])


@dataclass(frozen=True, slots=True)
class Known:
    """Let in or refused, and what is left is known already."""

    left: Quota
    retry_after: int | None = None

    async def quota(self) -> Quota:
        return self.left


def refused(limit: int, wait: float) -> Known:
    """`wait` in seconds."""
    return Known(quota(limit, 0, wait), max(1, math.ceil(wait)))


def quota(limit: int, remaining: int, frees_in: float) -> Quota:
    return Quota(limit, min(limit, max(0, remaining)), math.ceil(time.time() + max(0.0, frees_in)))


def quota_of(rule: Rule, window: Window) -> Quota:
    return quota(rule.limit, rule.limit - window.count, window.frees_in)


def tightest(quotas: Iterable[Quota]) -> Quota:
    """The one with least left; among equals, the one that has room last."""
    return min(quotas, key=lambda each: (each.remaining, -each.resets_at))
