"""Finds what was given up on, wherever that lies: failed tasks in the views, deliveries in their stream, the rest in the stream DEAD."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from pydantic import JsonValue, ValidationError

from trunkline.contracts.errors import NotFound
from trunkline.contracts.letters import LetterKind, LetterName, LetterView, parse_letter
from trunkline.contracts.task import Assignment, SubmitTask, TaskStatus
from trunkline.contracts.views import TaskView
from trunkline.contracts.webhook import DeliveryStatus, DeliveryView
from trunkline_relay.model import letters
from trunkline_relay.model.letters import GivenUp
from trunkline_relay.ports import Deliveries, LetterBook, Views


@dataclass(frozen=True, slots=True)
class Found:
    """A letter, and what it takes to have it tried once more."""

    view: LetterView
    name: LetterName
    assignment: Assignment | None = None
    trace_id: str | None = None
    given_up: GivenUp | None = None
    raw: bytes = b""


def unknown(letter: str) -> NotFound:
    return NotFound("there is no such letter", code="LETTER_NOT_FOUND", letter=letter)


class FindLetters:
    def __init__(self, book: LetterBook, views: Views, settled: Callable[[], Awaitable[None]], deliveries: Deliveries) -> None:
        self.book = book
        self.views = views
        self.deliveries = deliveries
        self._settled = settled

    async def settled(self) -> None:
        """Returns once everything that happened before is known here. Raises Unavailable."""
        await self._settled()
        await self.book.settled()

    async def one(self, tenant: str, letter: str) -> Found:
        """As it stands. Raises NotFound, Unavailable."""
        name = parse_letter(letter)
        if name is None:
            raise unknown(letter)
        await self.settled()
        found = await self._found(tenant, name)
        done = await self.book.load(tenant, name)
        if found is None or (name.kind is LetterKind.WEBHOOK and done is None and found.view.code != DeliveryStatus.DEAD):
            raise unknown(letter)
        return Found(
            letters.stands(found.view, done.handled if done else None), name, found.assignment, found.trace_id, found.given_up, found.raw
        )

    async def _found(self, tenant: str, name: LetterName) -> Found | None:
        match name.kind:
            case LetterKind.TASK:
                task = self.views.task(tenant, name.first)
                failed = task is not None and task.status is TaskStatus.FAILED
                return Found(of_task(task, whole=True), name, task.assignment, task.trace_id) if task and failed else None
            case LetterKind.WEBHOOK:
                kept = await self.deliveries.load(tenant, name.first, name.second)
                return Found(of_delivery(kept.delivery, whole=True), name) if kept else None
            case _:
                given_up = self.book.find(tenant, name)
                return await self._kept(tenant, given_up) if given_up else None

    async def _kept(self, tenant: str, given_up: GivenUp) -> Found | None:
        letter = await self.book.letter(given_up)
        if letter is None:
            return None
        raw = letters.raw_body(letter.body)
        body = letters.read_body(raw)
        view = of_given_up(given_up).model_copy(update={"body": body})
        if given_up.name.kind is LetterKind.MESSAGE:
            return Found(view, given_up.name, given_up=given_up, raw=raw)
        asked, trace_id = self._asked(tenant, given_up, raw)
        shown = asked.model_dump(mode="json", exclude_defaults=True) if asked else body
        return Found(view.model_copy(update={"body": shown}), given_up.name, asked, trace_id, given_up, raw)

    def _asked(self, tenant: str, given_up: GivenUp, raw: bytes) -> tuple[Assignment | None, str | None]:
        """What was to begin: a moment of a schedule says it, and of a workflow its task does."""
        if task := self.views.task(tenant, given_up.name.first):
            return task.assignment, task.trace_id
        try:
            return SubmitTask.model_validate_json(raw).assignment, None
        except ValidationError:
            return None, None


def of_task(task: TaskView, *, whole: bool = False) -> LetterView:
    asked = task.assignment
    return LetterView(
        id=str(LetterName(LetterKind.TASK, task.task_id)),
        kind=LetterKind.TASK,
        tenant=task.tenant,
        what=" ".join(part for part in (asked.type or asked.pool, asked.repo) if part),
        code=task.error_code or "",
        why=task.error or "it failed, and did not say why",
        tries=max(task.attempt, 1),
        at=task.ended_at or task.updated_at,
        task_id=task.task_id,
        body=asked.model_dump(mode="json", exclude_defaults=True) if whole else None,
        editable=letters.OF_TASKS,
    )


def of_delivery(delivery: DeliveryView, *, whole: bool = False) -> LetterView:
    return LetterView(
        id=str(LetterName(LetterKind.WEBHOOK, delivery.hook_id, delivery.id)),
        kind=LetterKind.WEBHOOK,
        tenant=delivery.tenant,
        what=f"{delivery.type} to {delivery.url}" if delivery.url else delivery.type,
        code=delivery.status,
        why=delivery.problem or "it was not taken",
        tries=delivery.tries,
        at=delivery.ended_at if delivery.ended_at and delivery.status is DeliveryStatus.DEAD else delivery.begun_at,
        task_id=delivery.task_id or None,
        body=_json(delivery.body) if whole else None,
    )


def of_given_up(given_up: GivenUp) -> LetterView:
    """Without its body."""
    message = given_up.name.kind is LetterKind.MESSAGE
    code, _, why = given_up.reason.partition(": ")
    tokens = given_up.source.split(".")
    again = letters.OF_MESSAGES if not letters.is_fact(given_up.source) else ()
    return LetterView(
        id=str(given_up.name),
        kind=given_up.name.kind,
        tenant=given_up.tenant,
        what=f"{given_up.consumer} {given_up.source}" if message else " ".join((given_up.consumer, *tokens[2:3])),
        code="" if message else code,
        why=given_up.reason if message else why or code,
        tries=given_up.tries,
        at=given_up.at,
        task_id=tokens[2] if tokens[0] == "evt" and len(tokens) > 2 else None,
        editable=again if message else letters.OF_TASKS,
    )


def _json(text: str) -> JsonValue:
    try:
        read: JsonValue = orjson.loads(text)
        return read
    except orjson.JSONDecodeError:
        return text
