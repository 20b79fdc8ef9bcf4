"""From what an omni client sends to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, JsonValue, ValidationError

from trunkline.contracts import job_env
from trunkline.contracts.errors import Invalid
from trunkline_gateway.dialects.omni.names import UPDATE
from trunkline_gateway.dialects.omni.schemas import MOST_RESULTS, ConnectQuery, ResultsQuery, TokenBody
from trunkline_gateway.dialects.omni.schemas_knowledge import ProcessBody
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.realtime import TicketWish
from trunkline_gateway.usecases.results import Asked
from trunkline_gateway.usecases.telling import Place

VALIDATION: Final = "VALIDATION_ERROR"
LONGEST: Final = 3000
"""Bytes of all names in one ticket: with more it would not fit into the address that it is shown in."""

Schema = TypeVar("Schema", bound=BaseModel)


def ticket(body: JsonValue) -> TicketWish:
    """Raises Invalid."""
    topics = read(TokenBody, body).root
    channels = {topic.channel for topic in topics}
    names = tuple(dict.fromkeys(topic.name for topic in topics))
    if len(channels) > 1:
        raise wrong("channel", "one token is for one channel; ask for another token")
    if sum(len(name.encode()) for name in (*channels, *names)) > LONGEST:
        raise wrong("name", f"the names in one token may have {LONGEST} bytes together")
    moments = [topic.since for topic in topics if topic.since is not None]
    since = datetime.fromtimestamp(min(moments) / 1000, UTC) if moments else None
    return TicketWish(channels.pop(), names, since, history=any(topic.history for topic in topics))


def login(headers: Mapping[str, str]) -> tuple[str, str]:
    """The token and the key that are shown; empty where there is none."""
    scheme, _, text = headers.get("Authorization", "").partition(" ")
    bearer, key = text.strip() if scheme.lower() == "bearer" else "", headers.get("X-API-Key", "")
    return (bearer, key) if bearer.count(".") == 2 else ("", key or bearer)


def connect(query: MultiMapping[str], headers: Mapping[str, str]) -> tuple[str, Place | None, float | None]:
    """The ticket, beyond which place is wanted, and how fast what was is to be told; None: as fast as it is taken. Raises Invalid."""
    asked = read(ConnectQuery, once(query, ConnectQuery))
    return asked.token, _beyond(headers.get("Last-Event-ID") or asked.lastEventId, asked.from_), asked.speed


def _beyond(last: str | None, first: str | None) -> Place | None:
    """What was heard last wins, as on the streams of tasks."""
    if last:
        return Place.parse(last)
    return Place.parse(first).before() if first else None


def results(query: MultiMapping[str]) -> tuple[str, Asked]:
    """The caller's name of the task, and which messages are wanted. Raises Invalid."""
    asked = read(ResultsQuery, once(query, ResultsQuery))
    after = Place.parse(asked.after) if asked.after else None
    return asked.taskId, Asked(UPDATE, after, asked.limit or MOST_RESULTS, newest=not (asked.after or asked.limit))


def process(body: JsonValue, allowed: Sequence[str]) -> ProcessBody:
    """A job; `allowed`: patterns of the variables that may be given with it. Raises Invalid."""
    asked = read(ProcessBody, body)
    for name, value in asked.env.items():
        if why := job_env.refused(name, allowed) or job_env.unfit(value) or _secret(value):
            raise wrong("env", f"{name[:40]!r}: {why}")
    if why := _secret(asked.taskId):
        raise wrong("taskId", why)
    return asked


def _secret(text: str) -> str:
    return "" if struck.text(text) == text else "this looks like a secret, and would be stored; leave it out"


def once(query: MultiMapping[str], schema: type[BaseModel]) -> dict[str, str]:
    """What stands in a query under the names of `schema`. Raises Invalid for what stands there twice."""
    names = [field.alias or name for name, field in schema.model_fields.items()]
    for name in names:
        if len(query.getall(name, ())) > 1:
            raise wrong(name, "may be given once")
    return {name: query[name] for name in names if name in query}


def read(schema: type[Schema], said: JsonValue | Mapping[str, str]) -> Schema:
    """Raises Invalid with the first field that is wrong, and without its value."""
    try:
        return schema.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise wrong(".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")) from None


def wrong(field: str, why: str) -> Invalid:
    return Invalid(f"{field}: {why}" if field else why, code=VALIDATION, field=field)
