"""An archive into another log: tasks that are over, whole, under their own ids, once. They become history there and nothing else.

Two passes over the archive: the first reads all of it and looks at what the log has of each task, the second appends what is missing,
fenced on each subject. Whatever is in the way is found before anything is written; cut in the middle, it goes on where it was.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from trunkline.bus.archive import Archived, Heading
from trunkline.bus.archive_file import opened
from trunkline.bus.direct import DirectReader
from trunkline.bus.exporting import EVERYTHING, Selection
from trunkline.bus.imported import IMPORTED
from trunkline.bus.publish import Raced, publish
from trunkline.bus.visiting import Visit
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId, token
from trunkline.contracts.record import Record
from trunkline.contracts.task import ENDS, TaskSubmitted

LANES: Final = 32
"""Tasks that are written at once; the records of one are never."""
WAITING: Final = 64
"""Records that wait for their lane."""
NAMED: Final = 5
_FENCE: Final = "Nats-Expected-Last-Subject-Sequence"

Key = tuple[str, str]
"""A tenant and a task."""


@dataclass(slots=True)
class Timeline:
    """One task of an archive: the digest of each of its records, in their order, and what the log has of them."""

    digests: array[int] = field(default_factory=lambda: array("Q"))
    begun: bool = False
    over: bool = False
    there: int = 0
    seen: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    """By subject, the sequence of its last record in the log."""

    @property
    def whole(self) -> bool:
        return self.begun and self.over


@dataclass(slots=True)
class Imported:
    """What became of an archive."""

    tasks: int = 0
    records: int = 0
    there: int = 0
    """Records that the log had already."""
    left_out: list[str] = field(default_factory=list)
    """Tasks that are not over, or not whole in the archive, and all that is no task."""


async def import_archive(visit: Visit, path: Path, wanted: Selection = EVERYTHING) -> Imported:
    """What is wanted of an archive. Raises Invalid for one that is none or damaged, NotFound, Conflict, Unavailable."""
    life = await visit.life()
    heading, tasks = _surveyed(path, wanted)
    if not tasks:
        raise NotFound("the archive holds nothing of what was asked for", code="NOTHING_THERE")
    if heading.epoch == life.epoch or heading.epoch in dict(life.earlier):
        raise Conflict("this archive was read from the very log that it is to go into; name another one", code="SAME_LOG")
    done = Imported(left_out=[f"{tenant}/{task}" for (tenant, task), timeline in tasks.items() if not timeline.whole])
    whole = {key: timeline for key, timeline in tasks.items() if timeline.whole}
    await _compared(await visit.reader(replicated=life.replicas > 1), whole)
    await _append_all(visit, (path, wanted), whole, done)
    done.tasks = len(whole)
    return done


def _surveyed(path: Path, wanted: Selection) -> tuple[Heading, dict[Key, Timeline]]:
    """All of the archive, read and judged. Raises Invalid."""
    found = opened(path)
    heading, tasks = next(found), dict[Key, Timeline]()
    assert isinstance(heading, Heading)
    for record in _records(found, wanted):
        key, part = _named(record)
        timeline = tasks.setdefault(key, Timeline())
        timeline.digests.append(_digest(record.subject, record.id, record.data))
        if part == subjects.TASK:
            facts = _facts(record)
            timeline.begun = timeline.begun or any(isinstance(fact, TaskSubmitted) for fact in facts)
            timeline.over = timeline.over or any(isinstance(fact, ENDS) for fact in facts)
    return heading, tasks


def _records(found: Iterator[Heading | Archived], wanted: Selection) -> Iterator[Archived]:
    return (each for each in found if isinstance(each, Archived) and wanted.holds(each))


def _named(record: Archived) -> tuple[Key, str]:
    """Raises Invalid."""
    try:
        tenant, task, part = (token(each) for each in subjects.parse_event(record.subject))
    except ValueError:
        raise Invalid(f"the archive holds a record of {record.subject!r}, which is no place in a log", code="BAD_RECORD") from None
    return (tenant, task), part


def _facts(record: Archived) -> tuple[object, ...]:
    try:
        return Record.model_validate_json(record.data).facts
    except ValidationError:
        raise Invalid(f"record {record.seq} of the archive cannot be read: is it of a newer version?", code="BAD_RECORD") from None


async def _compared(reader: DirectReader, tasks: dict[Key, Timeline]) -> None:
    """Find out how much of each task is there already. Raises Conflict for tasks that are there and went otherwise."""
    others: list[str] = []
    for (tenant, task), timeline in tasks.items():
        count = 0
        async for stored in reader.read(subjects.timeline(TenantId(tenant), TaskId(task)), 1):
            same = count >= len(timeline.digests) or timeline.digests[count] == _digest(stored.subject, stored.id, stored.body)
            if not same:
                others.append(f"{tenant}/{task}")
                break
            timeline.ends[stored.subject] = stored.seq
            count += 1
        timeline.there = min(count, len(timeline.digests))
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        message = f"{', '.join(others[:NAMED])}{more} are there already, with other facts; nothing was imported. Is it the right stack?"
        raise Conflict(message, code="OTHER_FACTS")


async def _append_all(visit: Visit, source: tuple[Path, Selection], tasks: dict[Key, Timeline], done: Imported) -> None:
    path, wanted = source
    lanes = [asyncio.Queue[Archived | None](WAITING) for _ in range(LANES)]
    found = opened(path)
    heading = next(found)
    assert isinstance(heading, Heading)
    try:
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(_lane(visit, _taken(lane), heading.epoch, (tasks, done)))
            await _dealt(_records(found, wanted), tasks, lanes)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def _dealt(found: Iterator[Archived], tasks: dict[Key, Timeline], lanes: list[asyncio.Queue[Archived | None]]) -> None:
    """Every record to the lane of its task, in their order."""
    for record in found:
        key, _ = _named(record)
        if key in tasks:
            await lanes[hash(key) % LANES].put(record)
    for lane in lanes:
        await lane.put(None)


async def _taken(lane: asyncio.Queue[Archived | None]) -> AsyncIterator[Archived]:
    while (record := await lane.get()) is not None:
        yield record


async def _lane(visit: Visit, records: AsyncIterator[Archived], epoch: str, way: tuple[dict[Key, Timeline], Imported]) -> None:
    tasks, done = way
    async for record in records:
        timeline = tasks[_named(record)[0]]
        timeline.seen += 1
        if timeline.seen <= timeline.there:
            done.there += 1
            continue
        headers = {**_meaningless(record.headers), IMPORTED: f"{epoch}-{record.seq}", _FENCE: str(timeline.ends.get(record.subject, 0))}
        try:
            timeline.ends[record.subject] = await publish(visit.answers, record.subject, record.data, id=record.id, headers=headers)
        except Raced:
            timeline.ends[record.subject] = await _ours(visit, record)
        done.records += 1


def _meaningless(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that are no orders to nats-server, whoever wrote them into the archive."""
    return {name: text for name, text in headers.items() if not name.lower().startswith("nats-")}


async def _ours(visit: Visit, record: Archived) -> int:
    """Where it was stored after all, when only the answer was lost. Raises Conflict when somebody else writes there."""
    reader = await visit.reader(replicated=(await visit.life()).replicas > 1)
    found = await reader.last(record.subject)
    if found is None or found.body != record.data:
        raise Conflict(f"somebody else writes to {record.subject} at this moment; stop that, and import again", code="OTHER_FACTS")
    return found.seq


def _digest(subject: str, id: str, data: bytes) -> int:
    return int.from_bytes(sha256(f"{subject}\0{id}\0".encode() + data).digest()[:8], "big")
