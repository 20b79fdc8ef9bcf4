"""A delivery was tried: what that says of its webhook is kept, where it says anything."""

from __future__ import annotations

from trunkline.bus import Raced
from trunkline.contracts.webhook import DeliveryView, Hook
from trunkline_relay.model import health
from trunkline_relay.model.trying import Verdict
from trunkline_relay.ports import Hooks


class HookHealth:
    """Writes only when something changed, so that telling a healthy subscriber costs nothing."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    async def learn(self, hook: Hook, tried: DeliveryView, outcome: Verdict) -> None:
        """Raises Unavailable."""
        known = self._hooks.get(hook.tenant, hook.id)
        record = health.learned(known.hook, tried, outcome) if known else None
        if record is None or known is None:
            return
        try:
            await self._hooks.append(record, known.seq, f"{tried.id}:{tried.round}:{tried.tries}")
        except Raced:  # it was changed meanwhile; the next try says it again
            return
