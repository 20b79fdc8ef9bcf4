"""Something happened: for each webhook that asked for it, one delivery is kept, whoever hears of it, however often."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from trunkline.bus import Raced, Stored
from trunkline.contracts import subjects
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.record import Event, read_told
from trunkline.contracts.task import TaskSubmitted
from trunkline.contracts.views import TaskView
from trunkline.contracts.webhook import DeliveryView, Hook
from trunkline.runtime.clock import now
from trunkline.runtime.faults import faultpoint
from trunkline_relay.model import hook_events, hook_payload, hook_state
from trunkline_relay.model.hook_payload import Subject
from trunkline_relay.ports import Deliveries, Hooks

MOST_KNOWN: Final = 10_000
NOBODY: Final = Subject("", "", "", "")
FindTask = Callable[[str, str], TaskView | None]
"""By tenant and task."""
Wanted = tuple[Hook, DeliveryView]
"""A webhook that asked to be told, and its delivery."""
TryAtOnce = Callable[[Hook, DeliveryView], Awaitable[bool]]
"""False when it has to be kept first."""
NamedAt = Callable[[int], str]
"""The life of the log in which a record was stored: after a restore too a webhook is told what it was told before under the same id."""


class TellWebhooks:
    """Keeps deliveries; those that cannot be tried at once are another's from there on."""

    def __init__(self, hooks: Hooks, deliveries: Deliveries, at_once: TryAtOnce, about: TaskSubjects, place: tuple[NamedAt, str]) -> None:
        """`place` is by which name of the log its records go, and where the gateway is reached."""
        self._hooks = hooks
        self._deliveries = deliveries
        self._about = about
        self._at_once = at_once
        self._named_at, self._base = place

    def passed(self, subject: str, _: bytes) -> bool:
        """Whether nobody wants to be told of what lies there."""
        tokens = subject.split(".")
        return not hook_events.told(tokens[-1]) or not self._hooks.anybody(tokens[1])

    def calm(self) -> bool:
        """Whether there is no webhook at all."""
        return self._hooks.none()

    async def __call__(self, stored: Stored) -> None:
        """Raises Unavailable."""
        names, (at, facts), wanted = subjects.parse_event(stored.subject), read_told(stored.body), list[Wanted]()
        for index, fact in enumerate(facts):
            wanted += await self._wanted(Event(Cursor(self._named_at(stored.seq), stored.seq, index), *names, at, fact))
        if len(wanted) == 1:  # as most often, and a task of its own would cost more than all else that is done here
            await self._deliver(*wanted[0])
        elif wanted:
            await self._deliver_all(wanted)

    async def _wanted(self, event: Event) -> list[Wanted]:
        """Waits for nothing but to know whose task it is."""
        word = hook_events.WORDS.get(type(event.fact))
        if word is None:
            return []
        about = await self._about.of(event)
        at, bodies, wanted = now(), dict[str, str](), list[Wanted]()
        for hook in self._hooks.concerned(event.tenant, about.submitted_by):
            name = hook_events.word_for(hook.events, word) if _hears(hook, event) else None
            if name is not None:
                if name not in bodies:  # one, however many are told it
                    bodies[name] = hook_payload.body(event, about, name, self._base)
                wanted.append((hook, hook_payload.delivery(hook, event, name, bodies[name], at)))
        return wanted

    async def _deliver_all(self, wanted: Iterable[Wanted]) -> None:
        """No subscriber waits for another, nor for another fact, and none is left untold for what went wrong with another."""
        errors = list[Exception]()

        async def deliver(hook: Hook, delivery: DeliveryView) -> None:
            try:
                await self._deliver(hook, delivery)
            except Exception as error:  # raised below, once all the others were told
                errors.append(error)

        async with asyncio.TaskGroup() as group:
            for hook, delivery in wanted:
                group.create_task(deliver(hook, delivery))
        if errors:
            raise _weightiest(errors)

    async def _deliver(self, hook: Hook, delivery: DeliveryView) -> None:
        if not await self._at_once(hook, delivery):
            await self._keep(delivery)

    async def _keep(self, delivery: DeliveryView) -> None:
        faultpoint("webhook_kept.before_effect")
        try:
            await self._deliveries.append(delivery, 0)
        except Raced:  # it is kept already, and may have gone further
            return
        faultpoint("webhook_kept.after_effect")


def _hears(hook: Hook, event: Event) -> bool:
    return hook_state.listens(hook) and event.cursor.seq > hook.from_seq


def _weightiest(errors: Sequence[Exception]) -> Exception:
    """A store that is away is nobody's fault, and does not count as one of the record's tries."""
    return next((each for each in errors if isinstance(each, Unavailable)), errors[0])


class TaskSubjects:
    """Whose task an event is about, from the fact itself or from the views."""

    def __init__(self, find: FindTask, settled: Callable[[], Awaitable[None]]) -> None:
        self._find = find
        self._settled = settled
        self._known: OrderedDict[tuple[str, str], Subject] = OrderedDict()

    async def of(self, event: Event) -> Subject:
        """Raises Unavailable while the views are behind."""
        key = event.tenant, event.task
        if isinstance(event.fact, TaskSubmitted):
            asked = event.fact.assignment
            return self._learn(key, Subject(event.fact.submitted_by, asked.surface, asked.repo, asked.type))
        if key in self._known:
            return self._known[key]
        view = self._find(*key)
        if view is None:
            await self._settled()
            view = self._find(*key)
        return self._learn(key, Subject.of(view)) if view else NOBODY

    def _learn(self, key: tuple[str, str], subject: Subject) -> Subject:
        self._known[key] = subject
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return subject
