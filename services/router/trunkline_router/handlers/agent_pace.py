"""How often one agent on NATS may make tasks and tell everybody: counted exactly by nats-server, over all routers together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from trunkline.bus import Limits, Refused, Rule, key_of
from trunkline.contracts.errors import Exhausted
from trunkline.contracts.subjects import AgentCall

KNOWN_WITHIN: Final = 0.5
"""Seconds that a refusal waits to know how long it lasts."""


class AgentPace:
    def __init__(self, limits: Limits, rules: Mapping[str, Rule]) -> None:
        """`rules` by verb; a verb without one is not counted."""
        self._limits = limits
        self._rules = rules

    async def count(self, call: AgentCall, id: str) -> None:
        """What names itself by `id` counts once, should it come again. Raises Exhausted, Unavailable."""
        rule = self._rules.get(call.verb)
        if rule is None:
            return
        key = key_of("agent", call.verb, call.tenant, call.name)
        if isinstance(await self._limits.hit(rule, key, id=key_of(key, id)), Refused):
            raise await self._refusal(rule, key, call.verb)

    async def _refusal(self, rule: Rule, key: str, verb: str) -> Exhausted:
        window = await (await self._limits.look(rule, key)).window(KNOWN_WITHIN)
        wait = math.ceil(10 * (window.frees_in if window else rule.window_s)) / 10
        sentence = f"one agent may {verb} {rule.limit} times in {rule.window_s} s; ask again in {wait:g} s"
        return Exhausted(sentence, code="RATE_LIMITED", retry_after=wait)
