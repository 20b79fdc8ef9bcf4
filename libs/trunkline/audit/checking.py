"""Comparing the log with the book: what was changed, taken away, put in or cut off, and where exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from trunkline.audit.book import Pages
from trunkline.audit.chain import GENESIS, SHORT, digest, linked, tenant_of
from trunkline.audit.checkpoints import Checkpoint
from trunkline.audit.stretches import Link, Stretch

_NO_MORE: Final = 1 << 64
"""Beyond every sequence: there are no more links."""


class Kind(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    CUT = "cut"
    EARLY = "early"
    CHAIN = "chain"
    BOOK = "book"
    LINKS = "links"
    UNSIGNED = "unsigned"
    GONE = "gone"
    REPLACED = "replaced"
    RESTORED = "restored"
    TURNED_BACK = "turned_back"
    HOLE = "hole"


_SAID = {
    Kind.CHANGED: "is not what was written",
    Kind.MISSING: "was written, and is not there any more",
    Kind.ADDED: "is there, and was never written",
    Kind.CUT: "was written, and the log ends before it: its tail was cut off, or an old copy was restored",
    Kind.EARLY: "is gone before its time: the log is to be kept longer",
    Kind.CHAIN: "looks like what was written, and together they give another head than was signed: the book was changed with the log",
    Kind.BOOK: "is what was written; the book's own link of it was changed",
    Kind.LINKS: "has neighbours whose links in the book were changed: it could be compared with the signed heads alone",
    Kind.UNSIGNED: "is there, and nobody has signed for it: the book was begun after it, or was emptied",
    Kind.GONE: "was written, and there is no log any more: it was deleted, nats-server cannot read what it is, or this is another server",
    Kind.REPLACED: "belongs to another life of the log: all of it was replaced",
    Kind.RESTORED: "was written, and a backup from before it was restored",
    Kind.TURNED_BACK: "was signed for, as the copy of the checkpoints says, and the book knows nothing of it: "
    "it was lost, or turned back together with the log",
    Kind.HOLE: "may be what was written, and together they give another head than was signed: there were others among them",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written: from one sequence to another, both included."""

    kind: Kind
    first: int
    last: int
    tenant: str = ""
    """Whose it is, where that is known."""
    before: datetime | None = None
    """It was as written at this moment, and known to be so."""

    def __str__(self) -> str:
        where = f"record {self.first}" if self.first == self.last else f"each of the records {self.first} to {self.last}"
        return f"{where} {_SAID[self.kind]}" + (f" (tenant {self.tenant})" if self.tenant else "")


class Check:
    """Give it every record of the log in order, then its end. Holds nothing but what it found.

    The links say where, the signed heads say that: where links are damaged, the log is judged by the heads.
    """

    def __init__(self, pages: Pages, kept_since: datetime | None = None) -> None:
        self.findings: list[Finding] = []
        self.compared = 0
        self.beyond = 0
        """Records that came after the last checkpoint: nobody has signed for them yet."""
        self._stretches: Iterator[Stretch] = pages.stretches()
        self._ahead: Stretch | None = None
        self._signed = pages.last
        self._behind: Checkpoint | None = None
        self._kept_since = kept_since
        self._known: dict[str, bytes] = {}
        """The heads as they were signed last, and behind them those of the stretch that is looked at."""
        self._heads: dict[str, bytes] = {}
        self._found: list[Finding] = []
        self._judged = True
        """Whether the heads at the next checkpoint say something: not where the log begins in the middle of a stretch."""
        self._links: Iterator[Link] = iter(())
        self._taken: list[Link] | None = None
        """What the log holds of a stretch whose links are out of order; then the one link that is waited for is its end."""
        self._seq, self._short = _NO_MORE, b""
        self._started = False
        self._open()

    def record(self, seq: int, subject: str, body: bytes) -> None:
        """One record of the log."""
        if not self._started:
            self._begin(seq)
        while self._seq < seq:
            self._miss()
        if self._seq == seq:
            self._compare(seq, subject, body)
        elif self._ahead:
            self._unlinked(seq, subject, body)
        else:
            self.beyond += 1

    def end(self, first: int = 0, last: int = 0) -> list[Finding]:
        """What was found, in order. Nothing: the log is as it was written, as far as the book goes.

        `first` and `last` are where the log begins and ends once all of it was read: an old one may hold nothing any more, and
        records that were about to go may have gone while it was read.
        """
        if not self._started:
            self._begin(first)
        while self._seq <= last:
            self._miss()
        if self._ahead and self._signed:
            self._cut_off(self._ahead, self._signed, last)
        self._keep(self._found)
        return [each for each in self.findings if each.kind is not Kind.MISSING or each.last >= first]

    def _cut_off(self, ahead: Stretch, signed: Checkpoint, last: int) -> None:
        first = self._seq
        if self._taken is not None:
            self._found += [Finding(Kind.LINKS, ahead.begin, ahead.checkpoint.seq)]
            first = max(self._taken[-1][0] if self._taken else ahead.begin - 1, last) + 1
        self._found.append(Finding(Kind.CUT, first, signed.seq, before=signed.at))

    def _compare(self, seq: int, subject: str, body: bytes) -> None:
        tenant, of_this = tenant_of(subject), digest(seq, subject, body)
        self.compared += 1
        if of_this[:SHORT] != self._short:
            self._differs(Kind.CHANGED, seq, tenant, of_this)
        self._heads[tenant] = linked(self._heads.get(tenant) or self._known.get(tenant, GENESIS), of_this)
        self._over()

    def _unlinked(self, seq: int, subject: str, body: bytes) -> None:
        """It is chained too: where that gives the head that was signed, it is its link that is not what was written."""
        tenant, of_this = tenant_of(subject), digest(seq, subject, body)
        self.compared += self._taken is not None
        self._differs(Kind.ADDED, seq, tenant, of_this)
        self._heads[tenant] = linked(self._heads.get(tenant) or self._known.get(tenant, GENESIS), of_this)

    def _differs(self, kind: Kind, seq: int, tenant: str, of_this: bytes) -> None:
        if self._taken is None:
            self._find(kind, seq, tenant)
        else:
            self._taken.append((seq, of_this[:SHORT]))

    def _miss(self) -> None:
        if self._taken is None:
            self._find(Kind.MISSING, self._seq)
        self._over()

    def _begin(self, first: int) -> None:
        """Pass over what is too old to be kept."""
        self._started = True
        while self._ahead and self._seq < first:
            self._judged = False
            self._expired(self._seq)
            self._over()
        if self._ahead and self._taken is not None and self._ahead.begin < first:
            self._judged = False

    def _expired(self, seq: int) -> None:
        """A record was written no earlier than the one that the checkpoint before it tells of."""
        told = self._ahead.checkpoint if self._ahead and self._ahead.checkpoint.seq == seq else self._behind
        if self._kept_since and told and told.happened > self._kept_since:
            self._find(Kind.EARLY, seq)

    def _over(self) -> None:
        """One link is dealt with; where it was the last under a checkpoint, so is that."""
        link = next(self._links, None)
        if link:
            self._seq, self._short = link
        else:
            self._close()
            self._open()

    def _open(self) -> None:
        """The next stretch. Links that are out of order say nothing of any record."""
        self._ahead = ahead = next(self._stretches, None)
        self._links, self._taken = iter(()), None
        if ahead is None:
            self._seq, self._short = _NO_MORE, b""
        elif ahead.in_order():
            self._links = ahead.links()
            self._seq, self._short = next(self._links)
        else:
            self._taken, self._seq, self._short = [], ahead.checkpoint.seq, b""

    def _close(self) -> None:
        assert self._ahead
        checkpoint = self._ahead.checkpoint
        wrong = self._wrong(checkpoint) if self._judged else []
        if self._taken is not None:
            self._found += self._by_heads(self._ahead, self._taken, wrong)
        elif wrong and not self._found:
            self._found = _together(self._ahead, wrong)
        elif len(wrong) == 1:  # only one tenant's head is another: it is this tenant's that are missing
            self._found = [replace(each, tenant=each.tenant or wrong[0]) for each in self._found]
        elif not wrong and self._judged:
            self._found = _of_the_book(self._found)
        self._keep(self._found)
        self._found, self._heads = [], {}
        self._known |= {tenant: bytes.fromhex(head) for tenant, head in checkpoint.heads.items()}
        self._judged, self._behind = True, checkpoint

    def _by_heads(self, stretch: Stretch, taken: list[Link], wrong: list[str]) -> list[Finding]:
        """Where the links are out of order: which of them, if the log is proven without them."""
        proven = self._judged and not wrong
        changed = [mine[0] for mine, its in zip(taken, stretch.links(), strict=False) if mine != its] if proven else []
        damaged = [Finding(Kind.BOOK, seq, seq) for seq in changed] or [Finding(Kind.LINKS, stretch.begin, stretch.checkpoint.seq)]
        return damaged + _together(stretch, wrong)

    def _wrong(self, checkpoint: Checkpoint) -> list[str]:
        """Tenants whose records since the checkpoint before do not give the head that was signed."""
        wrong = [tenant for tenant, head in checkpoint.heads.items() if self._head(tenant).hex() != head]
        return wrong + [tenant for tenant in self._heads if tenant not in checkpoint.heads]

    def _head(self, tenant: str) -> bytes:
        return self._heads.get(tenant) or self._known.get(tenant, GENESIS)

    def _find(self, kind: Kind, seq: int, tenant: str = "") -> None:
        """One more; what continues the one before makes that longer."""
        last = self._found[-1] if self._found else None
        if last and (last.kind, last.last + 1) == (kind, seq) and last.tenant == tenant:
            self._found[-1] = Finding(kind, last.first, seq, tenant, last.before)
        else:
            self._found.append(Finding(kind, seq, seq, tenant, self._ahead.checkpoint.at if self._ahead else None))

    def _keep(self, found: list[Finding]) -> None:
        for each in found:
            last = self.findings[-1] if self.findings else None
            if last and (last.kind, last.last + 1, last.tenant) == (each.kind, each.first, each.tenant):
                self.findings[-1] = Finding(last.kind, last.first, each.last, last.tenant, last.before)
            else:
                self.findings.append(each)


def _together(stretch: Stretch, wrong: list[str]) -> list[Finding]:
    checkpoint = stretch.checkpoint
    return [Finding(Kind.CHAIN, stretch.begin, checkpoint.seq, tenant, checkpoint.at) for tenant in wrong]


def _of_the_book(found: list[Finding]) -> list[Finding]:
    """What seems wrong with records that give the head that was signed; a link that names another record leaves two traces."""
    links = [Finding(Kind.BOOK, each.first, each.last, each.tenant) for each in found if each.kind is not Kind.MISSING]
    return links or found
