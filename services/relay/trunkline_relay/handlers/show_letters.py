"""Somebody looks through what was given up on: one list of all kinds, what was given up on last first."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import orjson

from trunkline.contracts.errors import Invalid
from trunkline.contracts.letters import MOST_PAGE, GetLetter, LetterKind, LetterName, LetterPage, LetterView, ListLetters
from trunkline.contracts.message import Accepted
from trunkline.contracts.task import TaskStatus
from trunkline.contracts.views import ListTasks, TaskSort
from trunkline.contracts.webhook import DeliveryStatus, ListDeliveries
from trunkline_relay.handlers.count_letters import MOST_COUNTED, CountLetters
from trunkline_relay.handlers.find_letters import FindLetters, of_delivery, of_given_up, of_task
from trunkline_relay.model import bookmarks, letters

MOST_LOOKED_AT: Final = 1_000
"""Letters that one page may cost; it is short then, and the next one goes on from there."""
WHY: Final = 500
"""Characters of a reason in a list."""
TOTAL: Final = "total"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Item(NamedTuple):
    """A letter, and the place behind it. None: it is nobody's business here, and only the place counts."""

    view: LetterView | None
    place: str
    at: datetime
    walked: bool = False
    """Whether it stands for many deliveries that were looked at, of which none is dead."""


class Mark(NamedTuple):
    """Where each kind goes on, one that is not there is over; and how many there were in all when the first page was read."""

    places: Mapping[str, str | None]
    total: int | None = None


Some = tuple[Sequence[Item], bool]
"""The next letters of one kind, and whether there are more."""
Look = Callable[[str | None], Awaitable[Some]]


@dataclass(slots=True)
class _Kind:
    """The letters of one kind, as far as they were looked at."""

    look: Look
    place: str | None
    matched: int = 0
    walked: bool = False
    """Whether that took a look at many deliveries of which none is dead."""
    _ahead: deque[Item] = field(default_factory=deque)
    _more: bool = True
    _seen: str | None = None

    def __post_init__(self) -> None:
        self._seen = self.place

    async def head(self) -> Item | None:
        while not self._ahead and self._more:
            items, self._more = await self.look(self._seen)
            self._ahead.extend(items)
            self._seen = items[-1].place if items else self._seen
        return self._ahead[0] if self._ahead else None

    def take(self) -> Item:
        item = self._ahead.popleft()
        self.place, self.walked = item.place, item.walked
        return item

    def end(self) -> None:
        self._ahead.clear()
        self._more = False

    @property
    def over(self) -> bool:
        return not self._ahead and not self._more


class ShowLetters:
    def __init__(self, find: FindLetters) -> None:
        self._find = find
        self._counting = CountLetters(find)

    async def get(self, query: GetLetter) -> Accepted:
        """Raises NotFound, Unavailable."""
        found = await self._find.one(query.tenant, query.letter)
        return Accepted(seq=0, body=found.view.model_dump(mode="json"))

    async def page(self, query: ListLetters) -> Accepted:
        """Raises Invalid, Unavailable."""
        if not 1 <= query.limit <= MOST_PAGE:
            raise Invalid(f"limit must be 1 to {MOST_PAGE}", code="BAD_PAGE", limit=query.limit)
        mark = _read(query.after)
        await self._find.settled()
        looks = self._looks(query)
        kinds = {kind: _Kind(look, mark.places.get(kind)) for kind, look in looks.items() if query.after is None or kind in mark.places}
        found = await self._gathered(query, kinds)
        left = {str(kind): each.place for kind, each in kinds.items() if not each.over}
        total = mark.total if query.after is not None else await self._total(query, kinds)
        page = LetterPage(letters=tuple(found), next=_written(Mark(left, total)) if left else None, total=total)
        return Accepted(seq=0, body=page.model_dump(mode="json"))

    async def _gathered(self, query: ListLetters, kinds: Mapping[LetterKind, _Kind]) -> list[LetterView]:
        """Of all kinds together the newest first, until the page is full or enough was looked at."""
        found: list[LetterView] = []
        for _ in range(MOST_LOOKED_AT):
            heads = [(head.at, kind) for kind, each in kinds.items() if (head := await each.head())]
            if not heads or len(found) == query.limit:
                break
            at, kind = max(heads)
            if query.since and at < query.since:
                kinds[kind].end()
                continue
            item = kinds[kind].take()
            if item.walked:  # thousands were looked at for nothing: the next page goes on from there
                break
            if shown := self._fitting(query, item.view):
                kinds[kind].matched += 1
                found.append(shown.model_copy(update={"why": shown.why[:WHY]}))
        return found

    def _fitting(self, query: ListLetters, view: LetterView | None) -> LetterView | None:
        shown = view and letters.stands(view, self._find.book.done(query.tenant, _name(view)))
        return shown if shown and letters.fits(shown, query) else None

    async def _total(self, query: ListLetters, kinds: Mapping[LetterKind, _Kind]) -> int | None:
        """All that match, counted with the first page; None: too many would have to be looked at one by one."""
        counts = [await self._count(query, kind, each) for kind, each in kinds.items()]
        return None if None in counts else sum(count or 0 for count in counts)

    async def _count(self, query: ListLetters, kind: LetterKind, each: _Kind) -> int | None:
        """Of one kind, behind the page that was just read."""
        if each.over:
            return each.matched
        if (known := self._counting.of(query, kind)) is not None:
            return known
        count = each.matched
        for _ in range(0 if each.walked else MOST_COUNTED):
            head = await each.head()
            if head is None or (query.since and head.at < query.since):
                return count
            if head.walked:
                break
            count += self._fitting(query, each.take().view) is not None
        return None

    def _looks(self, query: ListLetters) -> dict[LetterKind, Look]:
        every: dict[LetterKind, Look] = {
            LetterKind.MESSAGE: partial(self._given_up, query, LetterKind.MESSAGE),
            LetterKind.TRIGGER: partial(self._given_up, query, LetterKind.TRIGGER),
            LetterKind.WEBHOOK: partial(self._deliveries, query),
            LetterKind.TASK: partial(self._tasks, query),
        }
        return {kind: look for kind, look in every.items() if not query.kinds or kind in query.kinds}

    async def _given_up(self, query: ListLetters, kind: LetterKind, after: str | None) -> Some:
        before = None if after is None else _number(after)
        some = self._find.book.given_up(query.tenant, kind, before, query.limit)
        return [Item(of_given_up(each), str(each.seq), each.at) for each in some], len(some) == query.limit

    async def _deliveries(self, query: ListLetters, after: str | None) -> Some:
        wish = ListDeliveries(
            tenant=query.tenant, at=query.at, hook_id="-", statuses=(DeliveryStatus.DEAD,), limit=query.limit, after=after
        )
        some, next, reached = await self._find.deliveries.dead(wish)
        items = [Item(view := of_delivery(kept.delivery), str(kept.seq), view.at) for kept in some]
        if next is not None and (not items or next != items[-1].place):  # a long way without any: the walk goes on from there
            items.append(Item(None, next, reached or query.at, walked=True))
        return items, next is not None

    async def _tasks(self, query: ListLetters, after: str | None) -> Some:
        """By when they changed last: what a failed task learns later moves it."""
        wish = ListTasks(tenant=query.tenant, at=query.at, statuses=(TaskStatus.FAILED,), sort=TaskSort.UPDATED, after=after)
        page = self._find.views.tasks(wish.model_copy(update={"limit": query.limit}))
        items = [
            Item(
                None if self._find.book.find(query.tenant, LetterName(LetterKind.TRIGGER, task.task_id)) else of_task(task),
                bookmarks.write(TaskSort.UPDATED, ((task.updated_at - _EPOCH) // timedelta(microseconds=1), task.task_id)),
                task.updated_at,
            )
            for task in page.tasks
        ]
        return items, page.next is not None


def _name(view: LetterView) -> LetterName:
    kind, first, *rest = view.id.split(".")
    return LetterName(LetterKind(kind), first, *rest)


def _read(cursor: str | None) -> Mark:
    """Raises Invalid."""
    try:
        read: object = orjson.loads(cursor) if cursor is not None else {}
    except orjson.JSONDecodeError:
        raise _bad_cursor() from None
    total = read.pop(TOTAL, None) if isinstance(read, dict) else None
    if not isinstance(read, dict) or not isinstance(total, int | None):
        raise _bad_cursor()
    if not all(kind in set(LetterKind) and isinstance(place, str | None) for kind, place in read.items()):
        raise _bad_cursor()
    return Mark(read, total)


def _written(mark: Mark) -> str:
    return orjson.dumps({**mark.places, TOTAL: mark.total}).decode()


def _number(place: str) -> int:
    if not place.isascii() or not place.isdigit() or len(place) > 18:
        raise _bad_cursor()
    return int(place)


def _bad_cursor() -> Invalid:
    return Invalid("that is no place in a list of letters; take `next` of the page before", code="BAD_CURSOR")
