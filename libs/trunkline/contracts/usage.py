"""What a tenant's models were asked and what that cost, by day and model: added up from the facts."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from trunkline.contracts.message import Command, Message

MOST_DAYS = 366


class GetUsage(Command):
    """Read what was used from one day (UTC) to another, both included."""

    type: str = "usage"
    since: date
    until: date


class UsageRow(Message):
    """One model on one day."""

    day: date
    model: str
    """Empty: the answers did not say."""
    requests: int
    input_tokens: int
    cached_tokens: int
    """Part of the input."""
    output_tokens: int
    cost_usd: float | None
    """None: the price of this model is not known."""
    estimated: bool = False
    """Some answers broke off, and their tokens were estimated."""


class UsageView(Message):
    """The newest day first, and in it the dearest model."""

    rows: tuple[UsageRow, ...] = Field(default=())
