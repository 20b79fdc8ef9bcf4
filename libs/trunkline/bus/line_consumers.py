"""The durable consumer of each line: made when somebody first asks there, gone when nobody has for an hour and nothing is carried."""

from __future__ import annotations

import json
from typing import Final

from nats.errors import Error as NatsError
from nats.js import api

from trunkline.bus.answers import Answers, status_of
from trunkline.bus.streams import MINUTE, WORK, durable
from trunkline.contracts import subjects
from trunkline.contracts.subjects import Line

ANSWER: Final = 2.0
"""Seconds until a question that nobody answered is asked again."""
FORGOTTEN: Final = 60 * MINUTE
"""While a message is carried the server keeps its consumer, however long that takes."""


def line_name(pool: str, line: Line) -> str:
    """What its consumer is called: two lines of whatever pools and tenants are never called the same."""
    return f"work-{pool}-{line.lane}~{line.tenant}" if line.tenant else f"work-{pool}-{line.lane}"


def line_consumer(pool: str, line: Line) -> api.ConsumerConfig:
    where = subjects.work(pool, line.lane, line.tenant) if line.tenant else subjects.work_before(pool, line.lane)
    whose = f"of {line.tenant}" if line.tenant else "put there by an earlier version"
    named = durable(line_name(pool, line), where, f"Released tasks of the pool {pool}, {line.lane}, {whose}.")
    return named.evolve(inactive_threshold=FORGOTTEN)


async def open_line(answers: Answers, pool: str, line: Line) -> None:
    """What is there already stays. Raises nats.errors.Error when it could not be made."""
    config = line_consumer(pool, line).evolve(mem_storage=await _copied(answers))
    where = f"$JS.API.CONSUMER.CREATE.{WORK}.{config.name}.{config.filter_subject}"
    body = json.dumps({"stream_name": WORK, "config": config.as_dict()}).encode()
    said = await answers.asked(where, body, {}, ANSWER)
    if said is None or status_of(said):
        raise NatsError("nobody makes consumers now")
    if error := json.loads(said.data).get("error"):
        raise NatsError(str(error.get("description")))


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
