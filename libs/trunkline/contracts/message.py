"""What every message on the bus has in common: frozen, strict when written, tolerant when read."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, JsonValue

from trunkline.contracts.ids import Token


class Message(BaseModel):
    """Base of every contract. Unknown fields are ignored so that versions may roll."""

    # What cannot be read is told in logs and dead letters, where nothing of what people sent may stand.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Command(Message):
    """A wish, imperative, carried by request and reply to the owner of one aggregate."""

    tenant: Token
    at: datetime
    """When the wish was made (UTC); decisions take their time from here."""


class Fact(Message):
    """Something that happened, past tense; its `type` names it for ever."""


class UnknownFact(Fact):
    """A fact of a newer version: kept on the timeline, understood by nobody here."""

    type: str
    body: dict[str, JsonValue] = {}


class Accepted(Message):
    """The reply to a command that was taken."""

    seq: int
    """Stream sequence of the last fact of the aggregate: a read at or after it sees this write."""
    body: dict[str, JsonValue] = {}
