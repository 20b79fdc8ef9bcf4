"""Has what was given up on tried once more: a new task, another round of a delivery, a timer set free again, a fact shown again."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import orjson
from pydantic import ValidationError

from trunkline.bus import WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict, Invalid
from trunkline.contracts.ids import TenantId
from trunkline.contracts.letters import LetterEdit, LetterHandled, LetterKind, Redo, task_of
from trunkline.contracts.message import Accepted
from trunkline.contracts.task import Assignment, SubmitTask
from trunkline.contracts.webhook import Redeliver
from trunkline_relay.handlers.find_letters import Found
from trunkline_relay.model import letters
from trunkline_relay.model.letters import GivenUp
from trunkline_relay.ports import Letters, Owners

ROUTER: Final = "router"
SERVICES: Final = frozenset({"router", "approvals", "sandbox", "relay"})
"""Whose handlers messages are for."""
REDO_WITHIN: Final = 8.0


class RequeueLetter:
    """Each may be done twice, and has happened once."""

    def __init__(self, owners: Owners, again: Letters, redeliver: Callable[[Redeliver], Awaitable[Accepted]]) -> None:
        self._owners = owners
        self._again = again
        self._redeliver = redeliver

    async def check(self, found: Found, edit: LetterEdit | None, at: datetime) -> None:
        """Before anything is said of it. Raises Invalid, Conflict, NotFound, Unavailable."""
        letters.check_editable(found.view, edit)
        if found.view.kind in (LetterKind.TASK, LetterKind.TRIGGER):
            letters.check_assignment(_asked(found))
        elif found.given_up and not letters.is_fact(found.given_up.source):
            await self._check_body(found, found.given_up, _body(found, edit), at)

    async def __call__(self, found: Found, record: LetterHandled) -> str:
        """What came of it. Raises what whoever was asked refused with, or Unavailable."""
        match found.view.kind:
            case LetterKind.TASK | LetterKind.TRIGGER:
                return await self._task(found, record)
            case LetterKind.WEBHOOK:
                return await self._delivery(found, record)
            case LetterKind.MESSAGE:
                return await self._message(found, record)

    async def _task(self, found: Found, record: LetterHandled) -> str:
        tenant = found.view.tenant
        task = task_of(tenant, record.letter, record.count)
        asked = letters.edited(_asked(found), record.edit, record.letter)
        wish = SubmitTask(tenant=tenant, at=record.at, task_id=task, assignment=asked, submitted_by=record.by, trace_id=found.trace_id)
        await self._owners.send(ROUTER, task, wish)
        return task

    async def _delivery(self, found: Found, record: LetterHandled) -> str:
        hook, delivery = found.name.first, found.name.second
        await self._redeliver(
            Redeliver(tenant=found.view.tenant, at=record.at, hook_id=hook, delivery_id=delivery, by=record.by),
        )
        return delivery

    async def _message(self, found: Found, record: LetterHandled) -> str:
        given_up = _given_up(found)
        if letters.is_fact(given_up.source):
            await self._redo(found, given_up, record.at)
            return "taken"
        body = _body(found, record.edit)
        seq = await self._again.send_again(given_up.source, body, f"{record.letter}:{record.count}")
        return f"{given_up.stream} {seq}"

    async def _check_body(self, found: Found, given_up: GivenUp, body: bytes, at: datetime) -> None:
        if letters.is_timer(given_up.source):
            await self._redo(found, given_up, at, base64.b64encode(body).decode())
            return
        try:
            item = WorkItem.model_validate_json(body)
        except ValidationError as error:
            raise Invalid(f"its body is no released work: {error.errors()[0]['msg']}", code="BAD_LETTER_BODY") from None
        if subjects.parse_work(given_up.source) != (item.priority, item.tenant):
            raise Invalid("its body is of another tenant or priority than its place", code="BAD_LETTER_BODY")

    async def _redo(self, found: Found, given_up: GivenUp, at: datetime, body: str = "") -> None:
        consumer = given_up.consumer.partition("~")[0]
        service = letters.owner_of(consumer)
        if service not in SERVICES:
            raise Conflict("no service of this version takes such messages", code="LETTER_NOT_OURS")
        wish = Redo(tenant=TenantId(found.view.tenant), at=at, consumer=consumer, seq=given_up.place, body=body)
        await self._owners.send(service, "-", wish, timeout=REDO_WITHIN)


def _asked(found: Found) -> Assignment:
    """Raises Conflict."""
    if found.assignment is None:
        raise Conflict("nothing is kept any more of what was to begin", code="LETTER_GONE")
    return found.assignment


def _given_up(found: Found) -> GivenUp:
    if found.given_up is None:
        raise Conflict("nothing is kept any more of what was given up on", code="LETTER_GONE")
    return found.given_up


def _body(found: Found, edit: LetterEdit | None) -> bytes:
    return found.raw if edit is None or edit.body is None else orjson.dumps(edit.body)
