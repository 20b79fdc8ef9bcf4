"""An address is asked whether it wants to be told: it shows that by giving the challenge back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from trunkline.bus import Raced
from trunkline.contracts.webhook import Hook, HookFact, HookRecord, VerifyLater, WebhookStatus
from trunkline_relay.handlers.deliver import Sender, line_of
from trunkline_relay.handlers.slots import Slots
from trunkline_relay.model import hook_payload, hook_state, trying
from trunkline_relay.model.trying import Attempt, Verdict
from trunkline_relay.ports import Hooks, Known, Timers

TIMER: Final = "webhook-verify"
TARGET: Final = ("relay", "verify")
HEADER: Final = "webhook-challenge"
BUSY_S: Final = 5.0
SAFETY_S: Final = 10.0
"""Seconds after which it is asked though whoever wanted that died before asking."""


async def ask_at(timers: Timers, hook: Hook, at: datetime) -> None:
    """Raises Unavailable."""
    wake = VerifyLater(tenant=hook.tenant, hook_id=hook.id, url=hook.url, asked=hook.asked)
    await timers.set(TIMER, hook.id, at, TARGET, wake)


class VerifyAddress:
    def __init__(self, hooks: Hooks, timers: Timers, slots: Slots, sender: Sender, now: Callable[[], datetime]) -> None:
        self._hooks = hooks
        self._timers = timers
        self._slots = slots
        self._sender = sender
        self._now = now

    async def __call__(self, timer: VerifyLater) -> None:
        """Raises Unavailable."""
        known = await self._hooks.load(timer.tenant, timer.hook_id)
        if known is None or hook_state.status(known.hook) is not WebhookStatus.PENDING:
            return
        if (known.hook.url, known.hook.asked) != (timer.url, timer.asked):
            return
        challenge = secrets.token_urlsafe(24)
        attempt = await self._asked(known.hook, challenge)
        if attempt is None:
            await ask_at(self._timers, known.hook, self._now() + timedelta(seconds=BUSY_S))
            return
        with suppress(Raced):  # it was changed meanwhile, and whoever changed it asks again
            await self._keep(known, _problem(attempt, challenge))

    async def _asked(self, hook: Hook, challenge: str) -> Attempt | None:
        async with self._slots.of(line_of(hook)) as slot:
            if slot is None:
                return None
            body = hook_payload.challenge_body(hook, challenge, self._now())
            attempt, _ = await self._sender.send(hook, f"verify_{hook.id}_{hook.asked}", body)
            slot.sign = trying.sign(attempt)
            return attempt

    async def _keep(self, known: Known, problem: str) -> None:
        hook, at = known.hook, self._now()
        if problem:
            fact, after = HookFact.NOT_VERIFIED, hook_state.not_verified(hook, problem, at)
        else:
            fact, after = HookFact.VERIFIED, hook_state.verified(hook, hook.url, at)
        if problem and after.asked < len(hook_state.ASKS_S):
            await ask_at(self._timers, after, at + timedelta(seconds=hook_state.ASKS_S[after.asked]))
        await self._hooks.append(HookRecord(fact=fact, at=at, by="relay", hook=after), known.seq, f"{hook.id}:{known.seq}:asked")


def _problem(attempt: Attempt, challenge: str) -> str:
    """Why it did not show that it wants to be told; empty when it did."""
    if trying.verdict(attempt) is not Verdict.DELIVERED or attempt.answer is None:
        return trying.why(attempt)
    answer = attempt.answer
    if challenge in (answer.headers.get(HEADER), answer.body.strip(), _said(answer.body)):
        return ""
    return 'it answered without the challenge; give it back as JSON, {"challenge": "…"}, or in the header webhook-challenge'


def _said(body: str) -> object:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told.get("challenge") if isinstance(told, dict) else None
