"""What the tests of the audit share: a log of some tenants as a list, and a book that was kept of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from trunkline.audit.book import NOBODYS, Chained, Imprint, Pages, open_book, read
from trunkline.audit.chain import GENESIS, digest, linked, tenant_of
from trunkline.audit.checking import Check, Finding
from trunkline.auth.audit_keys import audit_key

Written = tuple[int, str, bytes]
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
EACH = 10
"""Records under one checkpoint."""


def log_of(count: int) -> list[Written]:
    """Records of three tenants, one a minute."""
    return [(seq, f"evt.{'abc'[seq % 3]}.task-{seq % 5}.run", b'{"at":"%d","facts":[]}' % seq) for seq in range(1, count + 1)]


def keep(folder: Path, log: list[Written], copy: Path | None = None, imprint: Imprint = NOBODYS) -> Pages:
    """Chain all of it, a checkpoint every so often, on top of what the book holds."""
    book = open_book(folder / "book", audit_key(folder / "audit.key"), copy, imprint)
    heads, chained = dict(book.heads), Chained()
    for seq, subject, body in log:
        if seq <= book.seq:
            continue
        tenant, of_this = tenant_of(subject), digest(seq, subject, body)
        heads[tenant] = chained.heads[tenant] = linked(heads.get(tenant, GENESIS), of_this)
        chained.add(seq, of_this)
        if len(chained) == EACH:
            at = BEGAN + timedelta(minutes=seq)
            book.seal(chained, "e1", at, at)
            chained = Chained()
    return read(folder / "book")


def compared(pages: Pages, log: list[Written], kept_since: datetime | None = None, ends: tuple[int, int] = (0, 0)) -> list[Finding]:
    """`ends` is what the log says of its first and last sequence once it was read."""
    check = Check(pages, kept_since)
    for seq, subject, body in log:
        check.record(seq, subject, body)
    return check.end(*ends)
