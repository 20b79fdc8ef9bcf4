"""Reading the log once and comparing it with each book; and putting books aside whose breaks somebody accepts."""

from __future__ import annotations

import getpass
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import JsonValue
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from trunkline.audit import book, checkpoints
from trunkline.audit.book import CHECKPOINTS, Pages
from trunkline.audit.checking import Check, Finding, Kind
from trunkline.audit.checkpoints import ACCEPTED, ASIDE, name_of
from trunkline.audit.lives import of_another_life, restored
from trunkline.auth.audit_keys import Witness, audit_key
from trunkline.bus.log_life import LogLife
from trunkline.bus.reading import Extent, Reading, reading
from trunkline.bus.torrent import Take
from trunkline.contracts.errors import Broken, NotFound
from trunkline.runtime.clock import now
from trunkline_cli.console import err
from trunkline_cli.data_dir import held, write_private
from trunkline_cli.nats_place import reached
from trunkline_cli.settings import StackSettings

STEP: Final = 4096
MOST: Final = 100
COPY: Final = "this checkpoint of the copy is in no book: log and book were turned back together, or the copy is another log's"


@dataclass(frozen=True, slots=True)
class Wish:
    witness: Witness | None
    """Whose signature counts; None: that of the key that lies beside each book."""
    copy: Path | None
    progress: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one book."""

    book: str
    findings: tuple[Finding | str, ...]
    compared: int = 0
    beyond: int = 0
    unproven: int = 0
    """Of an archive: what no checkpoint covers as a whole."""
    signed_since: datetime | None = None
    """When the book was begun: what was there before, nobody had signed for until then."""
    signed_at: datetime | None = None
    key: str = ""
    seconds: float = 0.0

    @property
    def whole(self) -> bool:
        return not self.findings

    @property
    def unsigned(self) -> bool:
        """Nothing speaks against the log, and nothing for it."""
        return bool(self.findings) and all(isinstance(each, Finding) and each.kind is Kind.UNSIGNED for each in self.findings)

    def sentence(self) -> str:
        if self.signed_at is None:
            return "nothing was compared"
        unsigned = f"; {self.beyond:,} after that nobody has signed for yet" if self.beyond else ""
        unsigned += f"; {self.unproven:,} at its ends that only their neighbours could prove" if self.unproven else ""
        return f"{self.compared:,} records compared, signed {_span(self.signed_since, self.signed_at)} UTC by {self.key}{unsigned}"

    def told(self) -> JsonValue:
        return {
            "book": self.book,
            "whole": self.whole,
            "findings": [_told(each) for each in self.findings],
            "compared": self.compared,
            "beyond": self.beyond,
            "unproven": self.unproven,
            "signed_since": self.signed_since.isoformat() if self.signed_since else None,
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


def own_key(file: Path) -> Witness | None:
    """Of the key that the relay here signs with, where it can be read: whoever wrote another book does not have it."""
    try:
        return audit_key(file).witness if file.exists() else None
    except OSError:
        return None


async def verified(stack: StackSettings, books: Sequence[Path], wish: Wish) -> list[Verdict]:
    """One verdict for each book, and one for the copy. Raises NotFound, Unavailable, Conflict, Invalid."""
    read, verdicts = [], list[Verdict]()
    for folder in books:
        try:
            read.append(book.read(folder, wish.witness))
        except Broken as error:
            verdicts.append(Verdict(folder.name, (error.message,)))
    async with reached(stack) as settings, reading(settings) as log:
        try:
            extent = await log.extent()
        except NotFound:
            if not (gone := [verdict(pages, found) for pages in read if (found := _gone(pages))]):
                raise  # nobody signed for anything
            return [*verdicts, *gone]
        for pages in read:
            verdicts.append(_elsewhere(pages, extent) or await _compared(log, pages, extent, wish.progress))
    return [*verdicts, *_copied(wish.copy, books, extent.life)]


def _gone(pages: Pages) -> list[Finding]:
    """Where there is no log: what was signed for."""
    first, newest = pages.first, pages.last
    return [Finding(Kind.GONE, first.first, newest.seq, before=newest.at)] if first and newest else []


def _elsewhere(pages: Pages, extent: Extent) -> Verdict | None:
    found = of_another_life(pages.last, extent.life) if pages.last else None
    return verdict(pages, (found,)) if found else None


def verdict(pages: Pages, findings: Sequence[Finding | str]) -> Verdict:
    first, newest = pages.first, pages.last
    found = Verdict(pages.folder.name, tuple(findings))
    return replace(found, signed_since=first.at, signed_at=newest.at, key=newest.key) if first and newest else found


def _span(since: datetime | None, until: datetime) -> str:
    begun = f"from {since:%Y-%m-%d %H:%M:%S} " if since else ""
    return f"{begun}until {until:%Y-%m-%d %H:%M:%S}"


async def _compared(log: Reading, pages: Pages, extent: Extent, progress: bool) -> Verdict:
    check, began = Check(pages, pages.kept_since(now(), timedelta(seconds=extent.kept_s))), time.monotonic()
    with _bar(extent, progress) as shown:
        await log.all(_counting(check, shown), extent.first, extent.last)
    after = await log.extent()
    wrong = check.end(after.first, after.last)
    nothing = not wrong and not check.compared and after.first <= after.last
    found = verdict(pages, [Finding(Kind.UNSIGNED, after.first, after.last)] if nothing else wrong)
    return replace(found, compared=check.compared, beyond=check.beyond, seconds=time.monotonic() - began)


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


def put_away(stack: StackSettings, books: Sequence[Path], copy: Path | None, verdicts: Sequence[Verdict], why: str) -> Path:
    """Move the books into a folder of their own, with what the copy holds, what was found and by whom.

    Raises Conflict while Trunkline runs, OSError.
    """
    at = now()
    with held(stack.root()):
        place = books[0].parent / f"{ACCEPTED}{at:%Y%m%dT%H%M%SZ}"
        said = {"accepted_at": at.isoformat(), "by": getpass.getuser(), "why": why, "verdicts": [each.told() for each in verdicts]}
        write_private(place / "accepted.json", json.dumps(said, indent=2) + "\n")
        if copy:
            shutil.copyfile(copy, place / ASIDE)
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


def _copied(copy: Path | None, books: Sequence[Path], life: LogLife) -> list[Verdict]:
    """Each checkpoint of the copy must be in a book, or put aside with one; a restore may have left some behind. Raises OSError."""
    if copy is None:
        return []
    aside = {file for folder in books for what in (f"*/{CHECKPOINTS}", ASIDE) for file in folder.parent.glob(f"{ACCEPTED}*/{what}")}
    known = {name_of(line) for file in (*(folder / CHECKPOINTS for folder in books), *aside) for line in file.read_bytes().splitlines()}
    lost: list[str] = []
    with copy.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if name_of(line.rstrip(b"\n")) not in known and not _left_behind(line, life):
                lost.append(f"line {number}: {COPY}")
    return [Verdict(str(copy), tuple(lost[:MOST]))]


def _left_behind(line: bytes, life: LogLife) -> bool:
    """By a restore, or by a witness that died while it wrote."""
    try:
        return restored(checkpoints.read(line), life)
    except Broken:
        return True
