"""Whose spans somebody sees: all for whoever runs the house, else those of tasks that they see and of what they asked themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Accepted, Command
from trunkline.contracts.trace import SpanView, trace_of
from trunkline_gateway.usecases.traces import Traces

TRACE = trace_of("nightly")
ONWARD = "b" * 32
ANN, EVE = (Principal(TenantId("acme"), name, Role.USER) for name in ("ann", "eve"))
ROOT = Principal(TenantId("acme"), "root", Role.ADMIN)


def span(name: str, trace_id: str = TRACE, task: str = "", by: str = "", links: tuple[str, ...] = ()) -> SpanView:
    about = {"service": "router", "name": name, "began_us": 1, "took_us": 1, "task": task, "by": by, "links": links}
    return SpanView.model_validate({"trace_id": trace_id, "span_id": "c" * 16, **about})


@dataclass
class Kept:
    """A relay that knows of no task, and the spans of one tenant."""

    held: Sequence[SpanView]

    async def send(self, service: str, id: str, command: Command, *, timeout: float = 10.0) -> Accepted:
        raise NotFound("nothing carries that trace id", code="TRACE_NOT_FOUND")

    async def spans(self, tenant: TenantId, trace_id: str, limit: int) -> Sequence[SpanView]:
        return [each for each in self.held if each.trace_id == trace_id and tenant == "acme"][:limit]

    async def seen_by(self, who: Principal) -> list[str]:
        found = await Traces(self, lambda: datetime.now(UTC), self).trace(who, "nightly", 10)
        return [each.name for each in found.spans]


async def test_what_somebody_asked_is_seen_by_them_and_by_whoever_runs_the_house() -> None:
    kept = Kept([span("of ann", by="ann"), span("of her task", task="t1", by="")])
    assert await kept.seen_by(ANN) == ["of ann"]
    assert await kept.seen_by(ROOT) == ["of ann", "of her task"]
    with pytest.raises(NotFound):
        await kept.seen_by(EVE)


async def test_a_trace_leads_on_to_others_but_not_for_ever() -> None:
    chain = [span(f"{n}", f"{n:032x}", by="ann", links=(f"{n + 1:032x}",)) for n in range(1, 20)]
    circle = span("again", ONWARD, by="ann", links=(TRACE,))
    kept = Kept([span("first", by="ann", links=(ONWARD, f"{1:032x}")), circle, *chain])
    assert await kept.seen_by(ANN) == ["first", "again", *(str(n) for n in range(1, 7))]


async def test_nobody_elsewhere_sees_anything() -> None:
    with pytest.raises(NotFound):
        await Kept([span("of ann", by="root")]).seen_by(Principal(TenantId("other"), "root", Role.ADMIN))
