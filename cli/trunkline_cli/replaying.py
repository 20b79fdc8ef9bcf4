"""Records as people see them where no gateway tells them: whose, of which task, and what each fact says in a few words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from trunkline.bus.archive import Archived, Heading
from trunkline.contracts import subjects
from trunkline.contracts.ids import wire_id
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline_cli.console import out, print_json
from trunkline_cli.pacing import paced
from trunkline_cli.plain import one_line

WIDTH: Final = 100
_SAID_ELSEWHERE: Final = ("type", "task_id", "at")


async def show(records: AsyncIterator[Heading | Archived], speed: float | None, as_json: bool) -> int:
    """Print them at their pace; returns how many."""
    first: datetime | None = None
    count = 0
    async for record in paced(_only(records), _at, speed):
        count += 1
        if as_json:
            print_json(record.model_dump(exclude_defaults=True), line=True)
            continue
        at = _at(record)
        first = first or at
        for line in lines(record, (at - first).total_seconds() if at and first else 0.0):
            out().print(line, markup=False, highlight=False)
    return count


def lines(record: Archived, seconds: float) -> list[str]:
    """One for each fact. Pure."""
    try:
        tenant, task, part = subjects.parse_event(record.subject)
        facts = Record.model_validate_json(record.data).facts
    except (ValueError, ValidationError):
        return [f"{seconds:9.2f} s  {one_line(record.subject)}  (cannot be read)"]
    return [f"{seconds:9.2f} s  {tenant}/{wire_id(task)}  {part:<9} {_kind(fact):<22} {_words(fact)}".rstrip() for fact in facts]


def _kind(fact: Fact) -> str:
    return str(getattr(fact, "type", ""))


def _words(fact: Fact) -> str:
    said = fact.model_dump(mode="json", exclude_defaults=True, exclude={*_SAID_ELSEWHERE})
    text = one_line(" ".join(f"{name}={value}" for name, value in said.items()))
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


async def _only(records: AsyncIterator[Heading | Archived]) -> AsyncIterator[Archived]:
    async for record in records:
        if isinstance(record, Archived):
            yield record


def _at(record: Archived) -> datetime | None:
    """When it was decided, by the record; without that, when it was stored."""
    try:
        return Record.model_validate_json(record.data).at
    except ValidationError:
        return None
