"""Reading the log once and comparing it with each book; and putting books aside whose breaks somebody accepts."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import JsonValue
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from trunkline.audit import book
from trunkline.audit.book import CHECKPOINTS, Pages
from trunkline.audit.checking import Check, Finding, Kind
from trunkline.audit.checkpoints import name_of
from trunkline.auth.audit_keys import witness_in
from trunkline.bus.reading import Extent, Reading, reading
from trunkline.bus.torrent import Take
from trunkline.contracts.errors import Broken, NotFound
from trunkline.runtime.clock import now
from trunkline_cli.console import err
from trunkline_cli.data_dir import held, write_private
from trunkline_cli.nats_place import reached
from trunkline_cli.settings import StackSettings

ACCEPTED: Final = "accepted-"
SLACK: Final = timedelta(hours=1)
STEP: Final = 4096
COPY: Final = "this checkpoint of the copy is in no book: log and book were turned back together, or the copy is another log's"


@dataclass(frozen=True, slots=True)
class Wish:
    public_key: Path | None
    copy: Path | None
    progress: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one book."""

    book: str
    findings: tuple[Finding | str, ...]
    compared: int = 0
    beyond: int = 0
    signed_at: datetime | None = None
    key: str = ""
    seconds: float = 0.0

    @property
    def whole(self) -> bool:
        return not self.findings

    def sentence(self) -> str:
        if self.signed_at is None:
            return "nothing was compared"
        unsigned = f"; {self.beyond:,} after that nobody has signed for yet" if self.beyond else ""
        return f"{self.compared:,} records compared, signed until {self.signed_at:%Y-%m-%d %H:%M:%S} UTC by {self.key}{unsigned}"

    def told(self) -> JsonValue:
        return {
            "book": self.book,
            "whole": self.whole,
            "findings": [_told(each) for each in self.findings],
            "compared": self.compared,
            "beyond": self.beyond,
            "signed_at": self.signed_at.isoformat() if self.signed_at else None,
            "key": self.key,
            "seconds": round(self.seconds, 3),
        }


def books_in(folder: Path) -> list[Path]:
    """The folder itself where it is a book, else the books in it. Raises NotFound (NO_BOOK)."""
    if (folder / CHECKPOINTS).exists():
        return [folder]
    found = sorted(each.parent for each in folder.glob(f"*/{CHECKPOINTS}") if not each.parent.name.startswith(ACCEPTED))
    if not found:
        raise NotFound(
            f"there is no book in {folder}: a relay with a data directory keeps one there; or name it with --books", code="NO_BOOK"
        )
    return found


async def verified(stack: StackSettings, books: Sequence[Path], wish: Wish) -> list[Verdict]:
    """One verdict for each book, and one for the copy. Raises NotFound, Unavailable, Conflict, Invalid."""
    witness = witness_in(wish.public_key) if wish.public_key else None
    read: list[Pages] = []
    verdicts: list[Verdict] = []
    for folder in books:
        try:
            read.append(book.read(folder, witness))
        except Broken as error:
            verdicts.append(Verdict(folder.name, (error.message,)))
    async with reached(stack) as settings, reading(settings) as log:
        extent = await log.extent()
        for pages in read:
            verdicts.append(_replaced(pages, extent) or await _compared(log, pages, extent, wish.progress))
    return [*verdicts, *_copied(wish.copy, read)]


def _replaced(pages: Pages, extent: Extent) -> Verdict | None:
    newest = pages.checkpoints[-1] if pages.checkpoints else None
    if newest is None or newest.epoch == extent.life.epoch_at(newest.seq):
        return None
    return Verdict(pages.folder.name, (Finding(Kind.REPLACED, newest.first, newest.seq, before=newest.at),), 0, 0, newest.at, newest.key)


async def _compared(log: Reading, pages: Pages, extent: Extent, progress: bool) -> Verdict:
    since = now() - timedelta(seconds=extent.kept_s) + SLACK if extent.kept_s else None
    check, began = Check(pages, since), time.monotonic()
    if extent.last:
        with _bar(extent, progress) as shown:
            await log.all(_counting(check, shown), extent.first, extent.last)
    newest = pages.checkpoints[-1] if pages.checkpoints else None
    return Verdict(
        pages.folder.name,
        tuple(check.end()),
        check.compared,
        check.beyond,
        newest.at if newest else None,
        newest.key if newest else "",
        time.monotonic() - began,
    )


def _bar(extent: Extent, progress: bool) -> Progress:
    parts = (TextColumn("comparing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    shown = Progress(*parts, console=err(), transient=True, disable=not progress)
    shown.add_task("comparing", total=extent.last - extent.first + 1)
    return shown


def _counting(check: Check, shown: Progress) -> Take:
    if shown.disable:
        return check.record

    def take(seq: int, subject: str, body: bytes) -> None:
        check.record(seq, subject, body)
        if not seq % STEP:
            shown.advance(shown.task_ids[0], STEP)

    return take


def put_away(stack: StackSettings, books: Sequence[Path], verdicts: Sequence[Verdict], why: str) -> Path:
    """Move the books into a folder of their own, with what was found and who accepts it. Raises Conflict while Trunkline runs, OSError."""
    at = now()
    with held(stack.root()):
        place = books[0].parent / f"{ACCEPTED}{at:%Y%m%dT%H%M%SZ}"
        said = {"accepted_at": at.isoformat(), "by": getpass.getuser(), "why": why, "verdicts": [each.told() for each in verdicts]}
        write_private(place / "accepted.json", json.dumps(said, indent=2) + "\n")
        for folder in books:
            folder.rename(place / folder.name)
    return place


def _told(finding: Finding | str) -> JsonValue:
    if isinstance(finding, str):
        return {"kind": Kind.BOOK.value, "said": finding}
    return {
        "kind": finding.kind.value,
        "first": finding.first,
        "last": finding.last,
        "tenant": finding.tenant,
        "whole_at": finding.before.isoformat() if finding.before else None,
        "said": str(finding),
    }


def _copied(copy: Path | None, read: Sequence[Pages]) -> list[Verdict]:
    """Raises OSError."""
    if copy is None:
        return []
    known = {name_of(line) for pages in read for line in (pages.folder / CHECKPOINTS).read_bytes().splitlines()}
    lost = [number for number, line in enumerate(copy.read_bytes().splitlines(), 1) if name_of(line) not in known]
    return [Verdict(str(copy), tuple(f"line {number}: {COPY}" for number in lost[:100]))]
