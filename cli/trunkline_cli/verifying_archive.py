"""Comparing an archive with the books: no log is asked, and of one tenant's records nobody else's are needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from trunkline.audit import book
from trunkline.audit.archives import ArchiveCheck
from trunkline.audit.book import Pages
from trunkline.bus.archive import Heading
from trunkline.bus.archive_file import opened
from trunkline.contracts.errors import Broken, Invalid
from trunkline_cli.verifying import Verdict, Wish, verdict

NOTHING: Final = "none of it could be proven: no checkpoint covers these records as a whole"


def archive_compared(file: Path, books: Sequence[Path], wish: Wish) -> list[Verdict]:
    """One verdict for each book. Raises Invalid for an archive that is none, damaged, or of one task."""
    verdicts: list[Verdict] = []
    for folder in books:
        try:
            verdicts.append(_compared(file, book.read_heads(folder, wish.witness)))
        except Broken as error:
            verdicts.append(Verdict(folder.name, (error.message,)))
    return verdicts


def _compared(file: Path, pages: Pages) -> Verdict:
    found, began = opened(file), time.monotonic()
    heading = next(found)
    assert isinstance(heading, Heading)
    if heading.task:
        raise Invalid("one task cannot be proven alone: each tenant has one chain; take an archive of the tenant", code="BAD_SELECTION")
    check = ArchiveCheck(pages, heading.tenant, heading.first, heading.last)
    for record in found:
        if not isinstance(record, Heading):
            check.record(record.seq, record.subject, record.data)
    findings = check.end()
    said = verdict(pages, findings or ([] if check.proven else [NOTHING]))
    return replace(said, compared=check.proven, unproven=check.unproven, seconds=time.monotonic() - began)
