"""Limits as one process counts them, without a nats-server: what is said of them is tested here, and how exact they are elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trunkline.bus import Rule
from trunkline_gateway.adapters.counted import Known, quota, refused, tightest
from trunkline_gateway.adapters.limiter import Unlimited
from trunkline_gateway.ports import Counted, Quota
from trunkline_gateway.settings import Settings
from trunkline_gateway.windows import Windows

id_of = id
"""Of an object; `id` is also what a request is called."""


@dataclass
class Counting(Unlimited):
    """Counts what starts jobs, and nothing else."""

    rules: Mapping[str, Sequence[Rule]] = field(default_factory=lambda: Settings().rules())
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    windows: Windows = field(default_factory=Windows)
    taken: dict[int, Sequence[str]] = field(default_factory=dict)
    """Where what was let in is counted, by its identity."""

    def __post_init__(self) -> None:
        super().__init__(frozenset(self.rules))

    async def admit(self, name: str, callers: Sequence[str], *, id: str = "") -> Counted | None:
        self.asked.append((name, tuple(callers)))
        places = [(rule, f"{rule.stream}{name}{caller}") for rule in self.rules[name] for caller in callers]
        seen = [(rule, *self.windows.seen(place, rule.window_s, time.monotonic())) for rule, place in places]
        if full := [(frees_in, rule.limit) for rule, count, frees_in in seen if count >= rule.limit]:
            return refused(max(full)[1], max(full)[0])
        for rule, place in places:
            self.windows.note(place, rule.window_s, time.monotonic())
        counted = Known(tightest((await self.standing(name, callers)).values()))
        self.taken[id_of(counted)] = [place for _, place in places]
        return counted

    async def give_back(self, counted: Counted) -> None:
        for place in self.taken.pop(id_of(counted)):
            self.windows.take_back(place)

    async def standing(self, name: str, callers: Sequence[str]) -> Mapping[int, Quota]:
        found: dict[int, Quota] = {}
        for rule in self.rules[name]:
            seen = [self.windows.seen(f"{rule.stream}{name}{caller}", rule.window_s, time.monotonic()) for caller in callers]
            found[rule.window_s] = tightest(quota(rule.limit, rule.limit - count, frees_in) for count, frees_in in seen)
        return found
