"""Timers kept by nats-server: they survive everything, fire once, and a late one is refused by whoever it wakes.

Set a timer before appending the fact it belongs to, or as the effect of that fact, which is repeated until it is done: a timer without
its fact does nothing, a fact without its timer waits for ever.
"""

from __future__ import annotations

from datetime import UTC, datetime

from nats.js import JetStreamContext
from pydantic import BaseModel

from trunkline.bus.answers import Answers
from trunkline.bus.heeding import heeding
from trunkline.bus.publish import publish
from trunkline.bus.streams import TIMERS
from trunkline.contracts import subjects
from trunkline.telemetry.traces import carried_with_tenant


class Timers:
    def __init__(self, answers: Answers, js: JetStreamContext) -> None:
        self._answers = answers
        self._js = js

    async def set(self, name: str, id: str, at: datetime, target: tuple[str, str], body: BaseModel) -> None:
        """At `at`, deliver `body` to `target` (service, verb). Setting the same name and id again replaces it."""
        stamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = carried_with_tenant({"Nats-Schedule": f"@at {stamp}", "Nats-Schedule-Target": subjects.due(*target)})
        wake = body.model_dump_json().encode()
        await publish(self._answers, subjects.timer(name, id), wake, id=f"timer:{name}:{id}:{stamp}", headers=headers)

    async def cancel(self, name: str, id: str) -> None:
        """Forget a timer; one that already fired, or was never set, is fine."""
        await heeding(self._js.purge_stream(TIMERS, subject=subjects.timer(name, id)))
