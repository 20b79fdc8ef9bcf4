"""Named sandboxes put together: who answers, who acts, who watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trunkline.bus import Bus
from trunkline.bus.streams import EVENTS
from trunkline_sandbox.handlers.named_answer import AnswerNamed
from trunkline_sandbox.handlers.named_book import ALL, Book
from trunkline_sandbox.handlers.named_carry import Carry, Waits
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.handlers.named_minutes import Minutes
from trunkline_sandbox.handlers.named_news import NamedNews
from trunkline_sandbox.handlers.named_pages import NamedPages
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.handlers.named_watch import Watch
from trunkline_sandbox.model.named_deciding import Decide


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Everything about named sandboxes. `book` is to be started before anything is heard, and it and `watch` run beside."""

    book: Book
    answer: AnswerNamed
    pages: NamedPages
    news: NamedNews
    watch: Watch
    carry: Carry


@dataclass(frozen=True, slots=True)
class NamedMeans:
    """What named sandboxes stand on: providers by name, what may be had of them, and how long they are waited for."""

    hosts: Mapping[str, NamedHost]
    caps: Caps
    waits: Waits = field(default_factory=Waits)


def put_together(bus: Bus, means: NamedMeans, now: Callable[[], datetime]) -> Sandboxes:
    ledger = bus.ledger(EVENTS)
    book = Book(bus.log, ledger, bus.heard(ledger, ALL), Decide(means.caps.prices))
    carry = Carry(book, means.hosts, now, means.waits)
    minutes = Minutes(book, bus.counters, now)
    return Sandboxes(
        book=book,
        answer=AnswerNamed(book, bus.log, means.hosts, means.caps, minutes),
        pages=NamedPages(book, minutes),
        news=NamedNews(book, carry, minutes, bus.timers, now),
        watch=Watch(book, means.hosts, carry, (means.caps, minutes), now),
        carry=carry,
    )
