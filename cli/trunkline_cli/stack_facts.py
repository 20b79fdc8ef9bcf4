"""What a nats-server and the services on it say of themselves, gathered once for all of the doctor's looks."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from trunkline.bus.line_consumers import is_as_declared
from trunkline.bus.streams import CONSUMERS, TIMERS, WORK, declared
from trunkline.bus.visiting import Json, Visit
from trunkline.contracts.errors import DomainError
from trunkline.contracts.integrity import GetIntegrity, IntegrityView
from trunkline.contracts.view_rows import ReadRows, RowsRead
from trunkline.contracts.views import TaskView
from trunkline.runtime.clock import now
from trunkline_cli.services import NAMES

MOST: Final = 1_000
"""Tasks, pieces of work and timers that are looked at one by one."""
PAGE: Final = 200
_SAME: Final = ("retention", "storage", "discard", "allow_msg_schedules", "allow_direct")


@dataclass(slots=True)
class Found:
    """Everything that the looks go by."""

    ahead_s: float = 0.0
    """Seconds that nats-server's clock is ahead of ours."""
    used: int = 0
    limit: int = 0
    """Bytes of its store; 0: no limit of its own."""
    amiss: list[str] = field(default_factory=list)
    """Streams and consumers that are not as they are declared."""
    silent: list[str] = field(default_factory=list)
    """Services that do not answer."""
    tasks: list[TaskView] = field(default_factory=list)
    """Those that are not over."""
    known: bool = False
    """Whether `tasks` is all of them."""
    work: list[Json] = field(default_factory=list)
    """What waits for an agent or is carried by one, as it was put there."""
    takers: set[str] = field(default_factory=set)
    """Pools of which somebody takes work."""
    timers: list[Json] = field(default_factory=list)
    integrity: IntegrityView | None = None
    """What a witness says of the log; None where none answers."""


async def gathered(visit: Visit) -> Found:
    """Raises NotFound NO_LOG, Unavailable."""
    await visit.life()
    found = Found()
    found.ahead_s = await _clock(visit)
    account = await visit.asked("$JS.API.INFO", {})
    found.used, found.limit = int(account.get("storage", 0)), max(int(account.get("limits", {}).get("max_storage", 0)), 0)
    found.amiss = await _amiss(visit)
    found.silent = [name for name in NAMES if name != "gateway" and not await visit.commands.ping(name)]
    found.work = [item async for item in _bodies(visit, WORK, ">")]
    found.takers = {_pool(each["name"]) for each in await visit.consumers(WORK) if each.get("num_waiting") or each.get("num_ack_pending")}
    found.timers = [timer async for timer in _bodies(visit, TIMERS, ">")]
    if "relay" not in found.silent:
        found.tasks, found.known = await _alive(visit)
        found.integrity = await _integrity(visit)
    return found


async def _clock(visit: Visit) -> float:
    before = time.time()
    said = await visit.asked(f"$JS.API.STREAM.INFO.{TIMERS}", {})
    middle = (before + time.time()) / 2
    return datetime.fromisoformat(str(said["ts"])).timestamp() - middle if "ts" in said else 0.0


async def _amiss(visit: Visit) -> list[str]:
    there = {str(stream["config"]["name"]): stream["config"] for stream in await visit.streams()}
    amiss: list[str] = []
    for wanted in declared(1, 1):
        name = str(wanted.name)
        if name not in there:
            amiss.append(f"the stream {name} is missing")
            continue
        config = there[name]
        differs = [key for key in _SAME if (meant := getattr(wanted, key, None)) and config.get(key) != meant]
        differs += ["subjects"] if sorted(config.get("subjects") or []) != sorted(wanted.subjects or []) else []
        amiss += [f"the stream {name} has another {key} than declared" for key in differs]
    durables = {
        name: {each["name"]: each["config"] for each in await visit.consumers(name)} for name in {stream for stream, _ in CONSUMERS}
    }
    for stream, consumer in CONSUMERS:
        config = durables[stream].get(consumer.name)
        if config is None:
            amiss.append(f"the consumer {consumer.name} is missing")
        elif config.get("filter_subject") != consumer.filter_subject or config.get("ack_policy") != "explicit":
            amiss.append(f"the consumer {consumer.name} is not as declared")
    lines = [each["name"] for each in await visit.consumers(WORK) if not is_as_declared(each["name"], each["config"])]
    return amiss + [f"the line {name} is of an earlier version" for name in lines]


async def _bodies(visit: Visit, stream: str, subject: str) -> AsyncIterator[Json]:
    """The JSON of the oldest messages of a stream, with their subject as `@subject`."""
    after = 0
    for _ in range(MOST):
        said = await visit.asked(f"$JS.API.STREAM.MSG.GET.{stream}", {"seq": after + 1, "next_by_subj": subject})
        if "message" not in said:
            return
        after = int(said["message"]["seq"])
        try:
            body: Any = orjson.loads(base64.b64decode(said["message"].get("data") or b""))
        except orjson.JSONDecodeError:
            continue
        if isinstance(body, dict):
            yield {**body, "@subject": said["message"]["subject"], "@time": said["message"]["time"]}


async def _alive(visit: Visit) -> tuple[list[TaskView], bool]:
    """Tasks that are not over, and whether these are all."""
    tasks: list[TaskView] = []
    after: tuple[str | int, ...] = ()
    while len(tasks) < MOST:
        query = ReadRows(tenant="-", at=now(), view="task", alive=True, after=after, limit=PAGE)
        try:
            rows = RowsRead.model_validate((await visit.commands.send("relay", "-", query)).body).rows
        except DomainError:  # a relay of an earlier version
            return tasks, False
        tasks += [TaskView.model_validate_json(json.loads(row.holds)["view"]) for row in rows]
        if len(rows) < PAGE:
            return tasks, True
        after = rows[-1].key
    return tasks, False


async def _integrity(visit: Visit) -> IntegrityView | None:
    with suppress(DomainError):  # a relay of an earlier version
        return IntegrityView.model_validate((await visit.commands.send("relay", "-", GetIntegrity(tenant="-", at=now()))).body)
    return None


def _pool(consumer: str) -> str:
    """Of which pool a consumer of work takes, by its name: `work-<pool>-<lane>`, with a tenant behind it for most."""
    return consumer.partition("~")[0].removeprefix("work-").rpartition("-")[0]
