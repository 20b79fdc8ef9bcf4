"""Comparing the log with the book: what was changed, taken away, put in or cut off, and where exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from trunkline.audit.book import Pages
from trunkline.audit.chain import GENESIS, SHORT, digest, linked, tenant_of
from trunkline.audit.checkpoints import Checkpoint


class Kind(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    CUT = "cut"
    EARLY = "early"
    CHAIN = "chain"
    BOOK = "book"
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
    """Give it every record of the log in order, then its end. Holds nothing but what it found."""

    def __init__(self, pages: Pages, kept_since: datetime | None = None) -> None:
        self.findings: list[Finding] = []
        self.compared = 0
        self.beyond = 0
        """Records that came after the last checkpoint: nobody has signed for them yet."""
        self._links: Iterator[tuple[int, bytes]] = pages.links()
        self._checkpoints = pages.checkpoints()
        self._ahead = next(self._checkpoints, None)
        self._signed = pages.last
        self._behind: Checkpoint | None = None
        self._kept_since = kept_since
        self._heads: dict[str, bytes] = {}
        self._stretch: list[Finding] = []
        self._judged = True
        """Whether the heads at the next checkpoint say something: not where the log begins in the middle of a stretch."""
        self._seq, self._short = 0, b""
        self._started = False
        self._advance()

    def record(self, seq: int, subject: str, body: bytes) -> None:
        """One record of the log."""
        if not self._started:
            self._begin(seq)
        while 0 < self._seq < seq:
            self._find(Kind.MISSING, self._seq)
            self._over()
        if not self._seq:
            self.beyond += 1
        elif self._seq > seq:
            self._find(Kind.ADDED, seq, tenant_of(subject))
        else:
            self._compare(seq, subject, body)

    def end(self, first: int = 0, last: int = 0) -> list[Finding]:
        """What was found, in order. Nothing: the log is as it was written, as far as the book goes.

        `first` and `last` are where the log begins and ends once all of it was read: an old one may hold nothing any more, and
        records that were about to go may have gone while it was read.
        """
        if not self._started:
            self._begin(first)
        while 0 < self._seq <= last:
            self._find(Kind.MISSING, self._seq)
            self._over()
        if self._seq:
            self._cut_off()
        self._keep(self._stretch)
        return [each for each in self.findings if each.kind is not Kind.MISSING or each.last >= first]

    def _cut_off(self) -> None:
        first = last = self._seq
        while self._seq:
            last = self._seq
            self._advance()
        self._stretch.append(Finding(Kind.CUT, first, last, before=self._signed.at if self._signed else None))

    def _compare(self, seq: int, subject: str, body: bytes) -> None:
        tenant, of_this = tenant_of(subject), digest(seq, subject, body)
        self.compared += 1
        if of_this[:SHORT] != self._short:
            self._find(Kind.CHANGED, seq, tenant)
        self._heads[tenant] = linked(self._heads.get(tenant, GENESIS), of_this)
        self._over()

    def _begin(self, first: int) -> None:
        """Pass over what is too old to be kept."""
        self._started = True
        gone = self._seq
        while 0 < self._seq < first:
            self._judged = False
            self._expired(self._seq)
            self._over(quiet=True)
        if gone == self._seq:
            self._judged = True

    def _expired(self, seq: int) -> None:
        """A record was written no earlier than the one that the checkpoint before it tells of."""
        told = self._ahead if self._ahead and self._ahead.seq == seq else self._behind
        if self._kept_since and told and told.happened > self._kept_since:
            self._find(Kind.EARLY, seq)

    def _over(self, *, quiet: bool = False) -> None:
        """One link is dealt with; where it was the last under a checkpoint, so is that."""
        if self._ahead and self._seq >= self._ahead.seq:
            self._close(self._ahead, quiet)
            self._ahead = next(self._checkpoints, None)
        self._advance()

    def _close(self, checkpoint: Checkpoint, quiet: bool) -> None:
        wrong = [] if quiet or not self._judged else self._wrong(checkpoint)
        if wrong and not self._stretch:
            first = (self._behind.seq if self._behind else checkpoint.first - 1) + 1
            self._stretch = [Finding(Kind.CHAIN, first, checkpoint.seq, tenant, checkpoint.at) for tenant in wrong]
        elif len(wrong) == 1:  # only one tenant's head is another: it is this tenant's that are missing
            self._stretch = [replace(each, tenant=each.tenant or wrong[0]) for each in self._stretch]
        elif not wrong and self._judged and all(each.kind is Kind.CHANGED for each in self._stretch):
            self._stretch = [Finding(Kind.BOOK, each.first, each.last, each.tenant) for each in self._stretch]
        self._keep(self._stretch)
        self._stretch = []
        self._heads = {**self._heads, **{tenant: bytes.fromhex(head) for tenant, head in checkpoint.heads.items()}}
        self._judged, self._behind = True, checkpoint

    def _wrong(self, checkpoint: Checkpoint) -> list[str]:
        return [tenant for tenant, head in checkpoint.heads.items() if self._heads.get(tenant, GENESIS).hex() != head]

    def _find(self, kind: Kind, seq: int, tenant: str = "") -> None:
        """One more; what continues the one before makes that longer."""
        last = self._stretch[-1] if self._stretch else None
        if last and (last.kind, last.last + 1) == (kind, seq) and last.tenant == tenant:
            self._stretch[-1] = Finding(kind, last.first, seq, tenant, last.before)
        else:
            self._stretch.append(Finding(kind, seq, seq, tenant, self._ahead.at if self._ahead else None))

    def _keep(self, found: list[Finding]) -> None:
        for each in found:
            last = self.findings[-1] if self.findings else None
            if last and (last.kind, last.last + 1, last.tenant) == (each.kind, each.first, each.tenant):
                self.findings[-1] = Finding(last.kind, last.first, each.last, last.tenant, last.before)
            else:
                self.findings.append(each)

    def _advance(self) -> None:
        self._seq, self._short = next(self._links, (0, b""))
