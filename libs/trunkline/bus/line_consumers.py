"""The durable consumer of each line: made when somebody first asks there, gone when nobody has for an hour and nothing is carried."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import api

from trunkline.bus.answers import Answers, status_of
from trunkline.bus.heeding import heeding
from trunkline.bus.streams import MINUTE, WORK, durable
from trunkline.contracts import subjects
from trunkline.contracts.subjects import Line

log = structlog.get_logger()

ANSWER: Final = 2.0
"""Seconds until a question that nobody answered is asked again."""
FORGOTTEN: Final = 60 * MINUTE
"""While a message is carried the server keeps its consumer, however long that takes."""
ANY_NUMBER: Final = -1
"""So many messages of a line may be in hands, or rest, at once. A number would be one for all takers together, and a line that has reached
it answers no question at all, so that those who ask wait, and with them the other lines. It bounds nothing by itself: each taker asks for
no more than it has hands for, caps say how many tasks of a tenant may be worked on, and what rests is a part of the queue."""
BROUGHT_UP_WITHIN: Final = 5.0
"""Seconds of a start; whatever is left then is brought up to date by the first who has no answer there."""
_OTHER_STORAGE: Final = 10012


def line_name(pool: str, line: Line) -> str:
    """What its consumer is called: two lines of whatever pools and tenants are never called the same."""
    return f"work-{pool}-{line.lane}~{line.tenant}" if line.tenant else f"work-{pool}-{line.lane}"


def line_consumer(pool: str, line: Line) -> api.ConsumerConfig:
    where = subjects.work(pool, line.lane, line.tenant) if line.tenant else subjects.work_before(pool, line.lane)
    whose = f"of {line.tenant}" if line.tenant else "put there by an earlier version"
    named = durable(line_name(pool, line), where, f"Released tasks of the pool {pool}, {line.lane}, {whose}.")
    return named.evolve(inactive_threshold=FORGOTTEN, max_ack_pending=ANY_NUMBER)


def is_as_declared(name: str, config: Mapping[str, Any]) -> bool:
    """Of a consumer of WORK, as nats-server tells of it: whether it is no line, or has the form that this version gives to lines."""
    return not name.startswith("work-") or config.get("max_ack_pending") == ANY_NUMBER


async def open_line(answers: Answers, pool: str, line: Line) -> None:
    """What is there already goes on, in the form of this version. Raises nats.errors.Error when it could not be made."""
    config = line_consumer(pool, line).evolve(mem_storage=await _copied(answers))
    error = await _made(answers, config)
    if error.get("err_code") == _OTHER_STORAGE:  # it was made when there were more servers, or fewer
        error = await _made(answers, config.evolve(mem_storage=not config.mem_storage))
    if error:
        raise NatsError(str(error.get("description")))


async def _made(answers: Answers, config: api.ConsumerConfig) -> dict[str, Any]:
    """What nats-server has against it, if anything. Raises nats.errors.Error."""
    where = f"$JS.API.CONSUMER.CREATE.{WORK}.{config.name}.{config.filter_subject}"
    said = await answers.asked(where, json.dumps({"stream_name": WORK, "config": config.as_dict()}).encode(), {}, ANSWER)
    if said is None or status_of(said):
        raise NatsError("nobody makes consumers now")
    return json.loads(said.data).get("error") or {}


async def _copied(answers: Answers) -> bool:
    """Whether several servers hold the queue, of which what was done is gone: nothing is lost with what such a consumer forgets."""
    said = await answers.asked(f"$JS.API.STREAM.INFO.{WORK}", b"", {}, ANSWER)
    if said is None or status_of(said):
        raise NatsError("nobody says how many servers hold the queue now")
    return int(json.loads(said.data).get("config", {}).get("num_replicas") or 1) > 1


async def held_lines(answers: Answers, of: str) -> list[Line] | None:
    """Which lines of these subjects hold messages, be they waiting or carried; None: nobody says. Raises nats.errors.Error."""
    said = await answers.asked(f"$JS.API.STREAM.INFO.{WORK}", json.dumps({"subjects_filter": of}).encode(), {}, ANSWER)
    if said is None or status_of(said):
        return None
    held = json.loads(said.data).get("state", {}).get("subjects") or {}
    return [line for line in map(subjects.parse_work, held) if line]


async def bring_up(client: Client) -> None:
    """Lines that an earlier version made get the form of this one, whatever is under way there. Any number may do it at once."""
    try:
        async with asyncio.timeout(BROUGHT_UP_WITHIN):
            async for page in _listed(client):
                await _brought_up(client, [each for each in page if not is_as_declared(each["name"], each["config"])])
    except (NatsError, TimeoutError) as error:
        log.warning("work.lines_left", error=str(error) or type(error).__name__)


async def _brought_up(client: Client, lines: list[dict[str, Any]]) -> None:
    async def one(name: str, config: dict[str, Any]) -> None:
        wish = {"stream_name": WORK, "config": {**config, "max_ack_pending": ANY_NUMBER}, "action": "update"}
        with suppress(NatsError, TimeoutError):  # it is left, as above
            await _told(client, f"CONSUMER.CREATE.{WORK}.{name}.{config.get('filter_subject', '>')}", wish)

    async with asyncio.TaskGroup() as group:
        for line in lines:
            group.create_task(one(line["name"], line["config"]))


async def _listed(client: Client) -> AsyncIterator[list[dict[str, Any]]]:
    """All consumers of WORK, some hundreds at a time."""
    seen = 0
    while page := (await _told(client, f"CONSUMER.LIST.{WORK}", {"offset": seen})).get("consumers"):
        yield page
        seen += len(page)


async def _told(client: Client, what: str, wish: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((await heeding(client.request(f"$JS.API.{what}", json.dumps(wish).encode(), timeout=ANSWER))).data)
    return said
