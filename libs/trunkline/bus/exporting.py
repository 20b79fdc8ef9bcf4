"""Out of the log: the records of a task, of a tenant or of a stretch of time, in their order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from trunkline.bus.archive import Archived, Heading, archived
from trunkline.bus.archive_file import written
from trunkline.bus.streams import EVENTS
from trunkline.bus.visiting import Visit
from trunkline.contracts import subjects
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted; nothing said is everything."""

    task: str = ""
    tenant: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def filter(self) -> str:
        if self.task:
            return subjects.task_anywhere(TaskId(self.task), TenantId(self.tenant) if self.tenant else None)
        return subjects.everything_of(TenantId(self.tenant)) if self.tenant else subjects.ALL_EVENTS

    def holds(self, record: Archived) -> bool:
        """Whether a record that was read from elsewhere is wanted."""
        try:
            tenant, task, _ = subjects.parse_event(record.subject)
            at = datetime.fromisoformat(record.time)
        except ValueError:
            return self == EVERYTHING
        whose = self.tenant in ("", tenant) and self.task in ("", task)
        return whose and (self.since is None or at >= self.since) and (self.until is None or at < self.until)


EVERYTHING: Final = Selection()


async def heading_of(visit: Visit, wanted: Selection) -> Heading:
    """What there is to read at this moment. Raises NotFound where that is nothing, BusAway."""
    life = await visit.life()
    reader = await visit.reader(replicated=life.replicas > 1)
    there = await visit.stream(EVENTS)
    first, last = (there.state.first_seq, there.state.last_seq) if there else (1, 0)
    if wanted.since:
        first = max(first, await reader.since(wanted.since) or last + 1)
    if wanted.until and (beyond := await reader.since(wanted.until)):
        last = min(last, beyond - 1)
    found = await anext(reader.read(wanted.filter, first, batch=1), None) if first <= last else None
    if found is None or found.seq > last:
        raise NotFound("the log holds nothing of what was asked for", code="NOTHING_THERE")
    return Heading(epoch=life.epoch, first=first, last=last, task=wanted.task, tenant=wanted.tenant, since=wanted.since, until=wanted.until)


async def exported(visit: Visit, wanted: Selection, heading: Heading, after: int = 0) -> AsyncIterator[Archived]:
    """The records of a heading beyond sequence `after`. Raises BusAway."""
    reader = await visit.reader(replicated=(await visit.life()).replicas > 1)
    async for stored in reader.read(wanted.filter, max(heading.first, after + 1)):
        if stored.seq > heading.last:
            return
        yield archived((stored.subject, stored.seq), stored.headers or {}, stored.body)


async def export(visit: Visit, wanted: Selection, path: Path) -> int:
    """Write them into a file, or go on with one that was begun; returns how many it holds. Raises as `written`, NotFound, BusAway."""
    now = await heading_of(visit, wanted)
    with written(path, now) as (archive, heading):
        async for record in exported(visit, wanted, heading, archive.last):
            archive.add(record)
    return archive.records
