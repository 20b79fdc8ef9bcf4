"""A control plane in memory: the verbs of agents, answered as the real one answers them. It knows no thread and no waiting."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic, time
from typing import Any, Final

from trunkline.contracts.agent import (
    MOST_ASKED,
    Answer,
    Answered,
    AnswerStatus,
    Approve,
    Ask,
    Asked,
    Beat,
    Beaten,
    Claim,
    Claimed,
    Held,
    Leased,
    Publish,
    Pulse,
    Report,
    Say,
    Submit,
    SubmittedPart,
    Word,
)
from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.message import Message
from trunkline.contracts.task import Priority, TaskStatus
from trunkline.sdk.testkit import ledger, life
from trunkline.sdk.testkit.ledger import Entry, Grant

WISHES: Final[Mapping[str, type[Message]]] = {
    "claim": Claim, "beat": Beat, "report": Report, "say": Say, "ask": Ask, "approve": Approve, "answer": Answer, "publish": Publish,
    "submit": Submit,
}  # fmt: skip
WAITING: Final = ("claim", "answer")
"""Verbs that may wait for something to happen."""


@dataclass(slots=True)
class Plane:
    """`lease_s`, `retry_s`: seconds that a lease lasts, and that another attempt waits. `changed` is called whenever something happened."""

    lease_s: float
    retry_s: float
    changed: Callable[[], None]
    entries: dict[str, Entry] = field(default_factory=dict)
    published: dict[str, Publish] = field(default_factory=dict)

    def put(self, type: str, pool: str, max_retries: int, rest: Mapping[str, object]) -> Entry:
        entry = Entry(secrets.token_hex(8), type, pool, rest, max_retries)
        self.entries[entry.task_id] = entry
        self.changed()
        return entry

    def answer(self, verb: str, body: bytes, *, last: bool) -> Message | None:
        """None: nothing yet, and the verb may wait unless it is the `last` time. Raises DomainError, ValidationError."""
        self.expire(monotonic())
        wish: Any = WISHES[verb].model_validate_json(body)
        answer: Message | None = getattr(self, f"_{verb}")(wish)
        if verb in WAITING and not last and _is_nothing(answer):
            return None
        if verb not in (*WAITING, "beat"):
            self.changed()
        return answer

    def expire(self, now: float) -> None:
        """Whatever lease is over by then."""
        for entry in self.entries.values():
            if entry.grant is not None and entry.grant.until <= now:
                life.silent(entry, now + self.retry_s)
                self.changed()

    def _claim(self, wish: Claim) -> Claimed:
        known = {each.lease for each in wish.holding}
        untold: list[Entry] = []
        for entry in self.entries.values():
            if entry.grant is not None and entry.grant.session == wish.session and not entry.grant.known:
                entry.grant = replace(entry.grant, known=entry.grant.lease in known)
                untold += [] if entry.grant.known else [entry]
        given = untold or self._free(wish)[: wish.room]
        for entry in given:
            if entry.grant is None:
                life.granted(entry, Grant(secrets.token_hex(8), wish.session, monotonic() + self.lease_s), begin=wish.begin)
        return Claimed(tasks=tuple(self._leased(entry) for entry in given), lease_s=self.lease_s)

    def _free(self, wish: Claim) -> list[Entry]:
        now = monotonic()
        free = [
            entry for entry in self.entries.values()
            if entry.status is TaskStatus.ASSIGNED and entry.grant is None and entry.begins_at <= now
            and entry.pool in wish.pools and (not wish.types or entry.type in wish.types)
        ]  # fmt: skip
        return sorted(free, key=lambda entry: str(entry.rest.get("priority", Priority.P2)))

    def _leased(self, entry: Entry) -> Leased:
        assert entry.grant is not None
        now = datetime.fromtimestamp(time(), UTC)
        until, deadline = now + timedelta(seconds=self.lease_s), now + timedelta(hours=1)
        named = {"task_id": entry.task_id, "type": entry.type, "pool": entry.pool, "attempt": entry.attempt}
        lasts = {"lease": entry.grant.lease, "until": until, "deadline_at": deadline, "priority": Priority.P2, "begun": entry.grant.begun}
        return Leased.model_validate(lasts | dict(entry.rest) | named)

    def _beat(self, wish: Beat) -> Beaten:
        return Beaten(leases=tuple(map(self._pulse, wish.leases)), lease_s=self.lease_s)

    def _pulse(self, wish: Held) -> Pulse:
        entry = self.entries.get(wish.task_id)
        if entry is None or entry.grant is None or entry.grant.lease != wish.lease:
            return Pulse(task_id=wish.task_id, lease=wish.lease, word=Word.LOST)
        entry.grant = replace(entry.grant, until=monotonic() + self.lease_s, known=True, beaten=True)
        return Pulse(task_id=wish.task_id, lease=wish.lease, word=Word.STOP if entry.stop else Word.GOING, stop=entry.stop)

    def _report(self, wish: Report) -> Message:
        entry = self._entry(wish)
        if wish.said and entry.grant is not None and entry.grant.lease == wish.lease:
            entry.says.setdefault(f"report-{wish.reported}-{wish.lease}", wish.said)
        life.report(entry, wish, monotonic() + self.retry_s)
        return Message()

    def _say(self, wish: Say) -> Message:
        entry = self._entry(wish)
        life.held(entry, wish)
        entry.says.setdefault(wish.id, wish.items)
        return Message()

    def _ask(self, wish: Ask) -> Asked:
        return self._question(wish, ("ask", wish.question))

    def _approve(self, wish: Approve) -> Asked:
        return self._question(wish, ("approve", wish.title))

    def _question(self, wish: Ask | Approve, words: tuple[str, str]) -> Asked:
        entry = self._entry(wish)
        life.held(entry, wish)
        known = entry.asked.get(wish.id)
        if known is None and len(entry.asked) >= MOST_ASKED:
            raise Conflict(f"the task has asked {MOST_ASKED} questions already", code="TOO_MANY_ASKED")
        if known is None:
            known = entry.asked[wish.id] = ledger.Asked(wish.id, *words, wish.about, lambda asked: self.changed())
        if (known.kind, known.words, known.about) != (*words, wish.about):
            raise Conflict("something else was asked under this id; ask under another", code="ASKED_OTHERWISE")
        return Asked(approval_id=f"a-{wish.id}"[:64], id=wish.id)

    def _answer(self, wish: Answer) -> Answered:
        entry = self._entry(wish)
        life.held(entry, wish)
        known = entry.asked.get(wish.id)
        if known is None:
            raise NotFound("nothing was asked under this id", code="NOT_ASKED")
        told = {"status": known.status, "answer": known.said, "by": known.by, "reason": known.reason}
        return Answered.model_validate({"approval_id": wish.id, **told})

    def _publish(self, wish: Publish) -> Message:
        self.published.setdefault(wish.event_id, wish)
        return Message()

    def _submit(self, wish: Submit) -> SubmittedPart:
        entry = self._entry(wish)
        life.held(entry, wish)
        if wish.id not in entry.parts:
            rest = wish.model_dump(include={"payload", "metadata", "prompt", "repo", "branch", "priority"})
            entry.parts[wish.id] = self.put(wish.type, entry.pool, wish.max_retries, rest).task_id
        part = self.entries[entry.parts[wish.id]]
        return SubmittedPart(task_id=part.task_id, pool=part.pool, status=part.status)

    def _entry(self, wish: Held) -> Entry:
        entry = self.entries.get(wish.task_id)
        if entry is None:
            raise NotFound("there is no such task", code="NO_SUCH_TASK")
        return entry


def _is_nothing(answer: Message | None) -> bool:
    if isinstance(answer, Claimed):
        return not answer.tasks
    return isinstance(answer, Answered) and answer.status is AnswerStatus.PENDING
