"""How it goes with a webhook as a whole: one that is gone, or failed for five days, is told nothing more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trunkline.bus import Raced
from trunkline.contracts.webhook import DeliveryView, DisabledBy, Hook, HookFact, HookRecord
from trunkline_relay.model import hook_state
from trunkline_relay.model.trying import Verdict
from trunkline_relay.ports import Hooks

GONE = "it answered 410: it wants nothing more"
FAILING = "nothing reached it for five days; mend it, and enable it again"
Change = Callable[[Hook, datetime], Hook]


class HookHealth:
    """Writes only when something changed, so that telling a healthy subscriber costs nothing."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    async def learn(self, hook: Hook, tried: DeliveryView, outcome: Verdict) -> None:
        """Raises Unavailable."""
        found = _news(hook, tried, outcome)
        known = self._hooks.get(hook.tenant, hook.id) if found else None
        if found is None or known is None or known.hook.url != tried.url or not known.hook.enabled:
            return
        fact, change = found
        at = tried.history[-1].at
        record = HookRecord(fact=fact, at=at, by="relay", hook=change(known.hook, at))
        try:
            await self._hooks.append(record, known.seq, f"{tried.id}:{tried.round}:{tried.tries}")
        except Raced:  # it was changed meanwhile; the next try says it again
            return


def _news(hook: Hook, tried: DeliveryView, outcome: Verdict) -> tuple[HookFact, Change] | None:
    if outcome is Verdict.GONE:
        return HookFact.DISABLED, lambda now, at: hook_state.disabled(now, DisabledBy.GONE, GONE, at)
    if outcome is Verdict.DELIVERED:
        return (HookFact.RECOVERED, lambda now, at: hook_state.failing(now, None, at)) if hook.failing_since else None
    if hook_state.overdue(hook, tried.history[-1].at):
        return HookFact.DISABLED, lambda now, at: hook_state.disabled(now, DisabledBy.FAILING, FAILING, at)
    if hook.failing_since is None and tried.tries >= hook_state.FAILING_TRY:
        return HookFact.FAILING, lambda now, at: hook_state.failing(now, at, at)
    return None
