"""How many letters there are, of the kinds that can be counted without a look at each."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from trunkline.contracts.letters import LetterKind, LetterState, ListLetters, parse_letter
from trunkline.contracts.task import TaskStatus
from trunkline.contracts.views import ListTasks
from trunkline_relay.handlers.find_letters import FindLetters, of_given_up, of_task
from trunkline_relay.model import letters

MOST_COUNTED: Final = 1_000
"""Letters that are looked at one by one for a number; beyond it none is said."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CountLetters:
    def __init__(self, find: FindLetters) -> None:
        self._find = find

    def of(self, query: ListLetters, kind: LetterKind) -> int | None:
        """All of the kind that match. None: it takes a look at each."""
        if query.q or query.since:
            return None
        every = self._every(query.tenant, kind)
        if every is None or query.state is None:
            return every
        dealt = self._dealt_with(query.tenant, kind)
        if dealt is None:
            return None
        return every - dealt.total() if query.state is LetterState.OPEN else dealt[query.state]

    def _every(self, tenant: str, kind: LetterKind) -> int | None:
        match kind:
            case LetterKind.WEBHOOK:
                return None
            case LetterKind.TASK:
                return self._failed(tenant)
            case _:
                return self._find.book.count(tenant, kind)

    def _failed(self, tenant: str) -> int | None:
        """Tasks that failed, without those that are told of as what began them."""
        begun = self._find.book.given_up(tenant, LetterKind.TRIGGER, None, MOST_COUNTED)
        if len(begun) == MOST_COUNTED:
            return None
        wish = ListTasks(tenant=tenant, at=_EPOCH, statuses=(TaskStatus.FAILED,), limit=1)
        return self._find.views.tasks(wish).total - sum(self._has_failed(tenant, each.name.first) for each in begun)

    def _has_failed(self, tenant: str, task: str) -> bool:
        found = self._find.views.task(tenant, task)
        return found is not None and found.status is TaskStatus.FAILED

    def _dealt_with(self, tenant: str, kind: LetterKind) -> Counter[LetterState] | None:
        """Those that are not open, by how they stand."""
        handled = self._find.book.handled(tenant, kind, MOST_COUNTED)
        if len(handled) == MOST_COUNTED:
            return None
        states = Counter(letters.state(at, each) for each in handled if (at := self._given_up_at(tenant, each.letter)))
        del states[LetterState.OPEN]
        return states

    def _given_up_at(self, tenant: str, letter: str) -> datetime | None:
        """None: there is no such letter any more, or another tells of it."""
        name = parse_letter(letter)
        assert name is not None
        if name.kind is not LetterKind.TASK:
            given_up = self._find.book.find(tenant, name)
            return of_given_up(given_up).at if given_up else None
        task = self._find.views.task(tenant, name.first)
        told_elsewhere = self._find.book.find(tenant, name._replace(kind=LetterKind.TRIGGER))
        return of_task(task).at if task and task.status is TaskStatus.FAILED and not told_elsewhere else None
