"""Who has a place, where only so many tasks may be worked on at once, and who is next: thought and not done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from trunkline.contracts.message import Fact
from trunkline.contracts.room import RoomAwaited, RoomCounted, RoomEntered, RoomFact, RoomLeft, Sitter

EVERY: Final = "*"
"""Stands for each that is not named."""
OLDEST: Final = 4
"""Every so many turns whoever waits longest is next, however urgent the others are."""
MOST_GIVEN: Final = 500
"""Places that one record gives: many more would be longer than a message may be."""
Count = tuple[str, str]
"""What is counted, and by which name."""
MOST_COUNTED: Final = 2000
"""Sitters that one record can name; while there are more, the room is read from where it was counted before."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How many tasks may be worked on at once, by name, and `*` for each other; what is not there has no limit."""

    tenants: Mapping[str, int] = field(default_factory=dict)
    repositories: Mapping[str, int] = field(default_factory=dict)
    agents: Mapping[str, int] = field(default_factory=dict)

    def concern(self, tenant: str, sitter: Sitter) -> bool:
        """Whether a place has to be asked for."""
        return any(most is not None for _, _, most in self.of(tenant, sitter))

    def of(self, tenant: str, sitter: Sitter) -> tuple[tuple[str, str, int | None], ...]:
        """What is counted, by which name, and how many there may be."""
        repo = _most(self.repositories, sitter.repo) if sitter.repo else None
        return (
            ("tenant", tenant, _most(self.tenants, tenant)),
            ("repository", sitter.repo, repo),
            ("agent", sitter.agent, _most(self.agents, sitter.agent)),
        )


class Room(NamedTuple):
    """Those who have a place, and those who wait, who waits longest first."""

    inside: Mapping[str, Sitter] = {}
    waiting: Mapping[str, Sitter] = {}
    turns: int = 0
    """Places that were given to somebody who waited."""


class Enter(NamedTuple):
    sitter: Sitter


class Leave(NamedTuple):
    task: str


class Look(NamedTuple):
    """The caps may be others than before."""


RoomCue = Enter | Leave | Look


def decide(room: Room, cue: RoomCue, tenant: str, caps: Caps) -> list[RoomFact]:
    """The facts that follow. A repeat leads to none."""
    if isinstance(cue, Enter):
        return _enter(room, cue.sitter, tenant, caps)
    if isinstance(cue, Look):
        return list(_given(room, tenant, caps))
    if cue.task in room.waiting:
        return [RoomLeft(task=cue.task)]
    if cue.task not in room.inside:
        return []
    return [RoomLeft(task=cue.task), *_given(folded(room, (RoomLeft(task=cue.task),)), tenant, caps)]


def evolve(room: Room, fact: Fact) -> Room:
    return folded(room, (fact,))


def folded(room: Room, facts: Iterable[Fact]) -> Room:
    """As `evolve` of each, with one copy for all: thousands may wait."""
    inside, waiting, turns = dict(room.inside), dict(room.waiting), room.turns
    for fact in facts:
        match fact:
            case RoomEntered():
                inside[fact.sitter.task] = fact.sitter
                waiting.pop(fact.sitter.task, None)
                turns += fact.waited
            case RoomAwaited():
                waiting[fact.sitter.task] = fact.sitter
            case RoomLeft():
                inside.pop(fact.task, None)
                waiting.pop(fact.task, None)
            case RoomCounted():
                inside, waiting, turns = _by_task(fact.inside), _by_task(fact.waiting), fact.turns
            case _:
                pass
    return Room(inside, waiting, turns)


def counted(room: Room) -> RoomCounted | None:
    """None while there are too many to be named."""
    if len(room.inside) + len(room.waiting) > MOST_COUNTED:
        return None
    return RoomCounted(inside=tuple(room.inside.values()), waiting=tuple(room.waiting.values()), turns=room.turns)


def _enter(room: Room, sitter: Sitter, tenant: str, caps: Caps) -> list[RoomFact]:
    if sitter.task in room.inside or sitter.task in room.waiting:
        return []
    full = _full(_taken(room.inside.values()), sitter, tenant, caps)
    return [RoomAwaited(sitter=sitter, full=full)] if full else [RoomEntered(sitter=sitter)]


def _given(room: Room, tenant: str, caps: Caps) -> Iterable[RoomFact]:
    """Places for those who wait, as far as there are any, and no more than one record can name."""
    taken, waiting, turns = _taken(room.inside.values()), dict(room.waiting), room.turns
    for _ in range(MOST_GIVEN):
        oldest, urgent = _fitting(waiting.values(), taken, tenant, caps)
        if oldest is None or urgent is None:
            return
        turns += 1
        sitter = oldest if turns % OLDEST == 0 else urgent
        taken.update(_counts(sitter))
        del waiting[sitter.task]
        yield RoomEntered(sitter=sitter, waited=True)


def _fitting(waiting: Iterable[Sitter], taken: Counter[Count], tenant: str, caps: Caps) -> tuple[Sitter | None, Sitter | None]:
    """Of those for whom there is a place: who waits longest, and the first of the most urgent. What is full is asked once for each name."""
    most, free = _most(caps.tenants, tenant), dict[tuple[str, str], bool]()
    if most is not None and taken["tenant", ""] >= most:
        return None, None
    oldest: Sitter | None = None
    urgent: Sitter | None = None
    for sitter in waiting:
        names = sitter.repo, sitter.agent
        if names not in free:
            free[names] = not _full(taken, sitter, tenant, caps)
        if free[names]:
            oldest = oldest or sitter
            urgent = sitter if urgent is None or sitter.lane < urgent.lane else urgent
    return oldest, urgent


def _full(taken: Counter[Count], sitter: Sitter, tenant: str, caps: Caps) -> tuple[str, ...]:
    return tuple(
        what for what, name, most in caps.of(tenant, sitter) if most is not None and taken[what, "" if what == "tenant" else name] >= most
    )


def _taken(inside: Iterable[Sitter]) -> Counter[Count]:
    return Counter(count for sitter in inside for count in _counts(sitter))


def _counts(sitter: Sitter) -> tuple[Count, ...]:
    return ("tenant", ""), ("repository", sitter.repo), ("agent", sitter.agent)


def _most(caps: Mapping[str, int], name: str) -> int | None:
    return caps.get(name, caps.get(EVERY))


def _by_task(sitters: Iterable[Sitter]) -> dict[str, Sitter]:
    return {sitter.task: sitter for sitter in sitters}
