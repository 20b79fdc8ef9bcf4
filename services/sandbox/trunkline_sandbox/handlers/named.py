"""Named sandboxes put together: who answers, who acts, who watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from trunkline.bus import Bus
from trunkline.bus.streams import EVENTS
from trunkline_sandbox.handlers.image_answer import AnswerImages
from trunkline_sandbox.handlers.image_build import BuildImage
from trunkline_sandbox.handlers.image_ends import ALL_IMAGES, ImageEnds
from trunkline_sandbox.handlers.image_news import ImageNews
from trunkline_sandbox.handlers.images import ImageMeans, Images
from trunkline_sandbox.handlers.named_answer import AnswerNamed
from trunkline_sandbox.handlers.named_book import ALL, Book
from trunkline_sandbox.handlers.named_carry import Carry, Waits
from trunkline_sandbox.handlers.named_errands import Errands
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.handlers.named_hosts import Hosts
from trunkline_sandbox.handlers.named_minutes import Minutes, MinutesCap
from trunkline_sandbox.handlers.named_news import NamedNews
from trunkline_sandbox.handlers.named_pages import NamedPages
from trunkline_sandbox.handlers.named_places import GivePlace
from trunkline_sandbox.handlers.named_sites import LOST_S, Sites
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.handlers.named_watch import Watch
from trunkline_sandbox.model.named_deciding import Decide


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Everything about named sandboxes. `start` it before anything is heard; all with a `run` run beside."""

    book: Book
    answer: AnswerNamed
    pages: NamedPages
    news: NamedNews
    watch: Watch
    carry: Carry
    errands: Errands
    sites: Sites
    hosts: Hosts
    images: Images
    image_answer: AnswerImages
    image_news: ImageNews
    image_ends: ImageEnds

    async def start(self) -> None:
        """Returns when everything that lies there is known, and the others know of this service. Raises Unavailable."""
        await self.sites.start()
        await self.book.start()
        await self.image_ends.start()
        await self.hosts.speak()


@dataclass(frozen=True, slots=True)
class NamedMeans:
    """What named sandboxes stand on: providers by name, what may be had of them, how long they are waited for, and images."""

    hosts: Mapping[str, NamedHost]
    caps: Caps
    waits: Waits = field(default_factory=Waits)
    images: ImageMeans = field(default_factory=ImageMeans)
    site_lost_s: float = LOST_S
    """Of silence, after which what a site keeps is in error."""


def put_together(bus: Bus, means: NamedMeans, now: Callable[[], datetime]) -> Sandboxes:
    ledger = bus.ledger(EVENTS)
    book = Book(bus.log, ledger, bus.heard(ledger, ALL), Decide(means.caps.prices))
    images = Images(bus.log, means.images, now)
    hosts = Hosts((bus.memos, bus.commands), means.hosts, means.site_lost_s)
    carry = Carry(book, hosts, now, means.waits, images)
    minutes = Minutes(book, bus.counters, now)
    cap = MinutesCap(book, minutes, means.caps, now)
    build = BuildImage(images, bus.log, now)
    sites, errands = Sites(bus.memos, means.hosts, means.site_lost_s), Errands(means.hosts, carry)
    book.listeners.append(errands.heard)
    return Sandboxes(
        book=book,
        answer=AnswerNamed(book, bus.log, hosts, (means.caps, minutes, images), GivePlace(book, bus.memos, means.caps, now)),
        pages=NamedPages(book, minutes),
        news=NamedNews(book, carry, (minutes, cap), bus.timers, now),
        watch=Watch(book, means.hosts, (carry, cap, sites), now),
        carry=carry,
        errands=errands,
        sites=sites,
        hosts=hosts,
        images=images,
        image_answer=AnswerImages(images, hosts, means.caps),
        image_news=ImageNews(build, hosts),
        image_ends=ImageEnds(
            bus.heard(ledger, ALL_IMAGES), book, carry, means.waits.orphaned_s, (partial(images.here.run, build.here), images.standing)
        ),
    )
