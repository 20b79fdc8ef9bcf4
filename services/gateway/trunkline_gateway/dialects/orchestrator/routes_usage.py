"""Usage: what the models of the caller's tenant were asked, day by day, and what that cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, JsonValue

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.usage import UsageView
from trunkline_gateway.dialect import Route, Spec
from trunkline_gateway.dialects.orchestrator import reading
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.answers import CLOSED
from trunkline_gateway.dialects.orchestrator.encode import Object
from trunkline_gateway.dialects.orchestrator.schemas import UsageQuery
from trunkline_gateway.usecases.usage import Usage

TAG: Final = "usage"


class Used(BaseModel):
    """One model on one day (UTC)."""

    model_config = CLOSED

    day: date
    model: str | None
    requests: int
    input_tokens: int
    cached_tokens: int
    """Part of the input."""
    output_tokens: int
    cost_usd: float | None
    """Null: the price of this model is not known."""
    estimated: bool
    """Some answers broke off, and their tokens were estimated."""


class UsageList(BaseModel):
    model_config = CLOSED

    usage: list[Used]
    """The newest day first, and in it the dearest model."""
    cost_usd: float
    """Of everything whose price is known."""
    timestamp: AwareDatetime


READ: Final = Spec(
    "Read what models were asked and what it cost", TAG, query=UsageQuery, answers={200: UsageList}, refusals=(400, 401, 403, 422, 429, 503)
)


@dataclass(frozen=True, slots=True)
class UsageRoutes:
    usage: Usage

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/usage", Action.READ_USAGE, self._read, READ, "usage.read"),)

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        asked = reading.query(UsageQuery, request.query)
        found = await self.usage.of(principal, _day("since", asked.since), _day("until", asked.until))
        return json(_told(found) | {"timestamp": self.usage.now().isoformat()})


def _day(field: str, text: str | None) -> date | None:
    """Raises Invalid."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise reading.wrong(field, "must be a day such as 2025-10-22") from None


def _told(view: UsageView) -> Object:
    rows: list[JsonValue] = [{**row.model_dump(mode="json"), "model": row.model or None} for row in view.rows]
    return {"usage": rows, "cost_usd": round(sum(row.cost_usd or 0.0 for row in view.rows), 6)}
