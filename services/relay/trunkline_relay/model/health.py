"""How it goes with a webhook as a whole: what one try says of it, beside what it says of its delivery."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from trunkline.contracts.webhook import DeliveryView, DisabledBy, Hook, HookFact, HookRecord
from trunkline_relay.model import hook_state
from trunkline_relay.model.trying import Verdict

GONE: Final = "it answered 410: it wants nothing more"
FAILING: Final = "nothing reached it for five days; mend it, and enable it again"
BY: Final = "relay"
PATIENCE: Final = timedelta(minutes=5)
"""A delivery that was not taken for so long is no restart of its receiver any more: its third try, or one that its host's rest put off."""


def learned(hook: Hook, tried: DeliveryView, outcome: Verdict) -> HookRecord | None:
    """What the newest try of a delivery changes about the webhook; None: nothing, as of an address that it has left meanwhile."""
    at = tried.history[-1].at
    if hook.url != tried.url or not hook.enabled:
        return None
    if outcome is Verdict.GONE:
        return HookRecord(fact=HookFact.DISABLED, at=at, by=BY, hook=hook_state.disabled(hook, DisabledBy.GONE, GONE, at))
    if outcome is Verdict.DELIVERED:
        return HookRecord(fact=HookFact.RECOVERED, at=at, by=BY, hook=hook_state.failing(hook, None, at)) if hook.failing_since else None
    if at - tried.begun_at < PATIENCE:
        return None
    if hook_state.overdue(hook, at):
        return HookRecord(fact=HookFact.DISABLED, at=at, by=BY, hook=hook_state.disabled(hook, DisabledBy.FAILING, FAILING, at))
    if hook.failing_since is None:
        return HookRecord(fact=HookFact.FAILING, at=at, by=BY, hook=hook_state.failing(hook, at, at))
    return None
