"""A copy of the checkpoints is only appended to, stops nobody, and knows of a book that was lost or turned back."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.unit.audit.books import keep, log_of
from trunkline.audit.book import CHECKPOINTS, Imprint, open_book
from trunkline.audit.checkpoints import Checkpoint
from trunkline.auth.audit_keys import audit_key

ONE, OTHER = Imprint("one"), Imprint("other")


def lost(folder: Path, copy: Path, imprint: Imprint = ONE) -> list[int]:
    """The last sequences of what the copy has, and the book as it is opened now lacks."""
    found: list[Checkpoint] = open_book(folder / "book", audit_key(folder / "audit.key"), copy, imprint).lost()
    return [each.seq for each in found]


def test_what_was_written_there_is_never_written_again(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    keep(tmp_path, log_of(30), copy, ONE)
    first = copy.read_bytes()
    copy.write_bytes(first + b'{"torn')
    keep(tmp_path, log_of(60), copy, ONE)
    assert copy.read_bytes().startswith(first + b'{"torn\n') and lost(tmp_path, copy) == []
    assert copy.read_bytes().count(b"\n") == 7


def test_two_witnesses_may_share_one(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name, imprint, count in (("a", ONE, 20), ("b", OTHER, 30), ("a", ONE, 40), ("b", OTHER, 50)):
        keep(tmp_path / name, log_of(count), copy, imprint)
    assert lost(tmp_path / "a", copy, ONE) == lost(tmp_path / "b", copy, OTHER) == []
    assert len(copy.read_bytes().splitlines()) == 4 + 5


def test_a_copy_that_cannot_be_written_gets_later_what_it_lacks(tmp_path: Path) -> None:
    copy = tmp_path / "mount" / "copy"
    book = keep(tmp_path, log_of(20), copy, ONE)
    assert book.seq == 20
    assert open_book(tmp_path / "book", audit_key(tmp_path / "audit.key"), copy, ONE).copy_problem == ""  # nobody has tried yet
    copy.parent.mkdir()
    keep(tmp_path, log_of(30), copy, ONE)
    assert copy.read_bytes() == (tmp_path / "book" / CHECKPOINTS).read_bytes()


def test_a_book_that_was_lost_or_turned_back_is_known_by_its_copy(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    keep(tmp_path, log_of(20), copy, ONE)
    shutil.copytree(tmp_path / "book", tmp_path / "old")
    keep(tmp_path, log_of(40), copy, ONE)
    shutil.rmtree(tmp_path / "book")
    assert lost(tmp_path, copy) == [40, 30, 20, 10]
    shutil.rmtree(tmp_path / "book")
    (tmp_path / "old").rename(tmp_path / "book")
    assert lost(tmp_path, copy) == [40, 30]


def test_a_book_that_was_put_aside_is_not_lost(tmp_path: Path) -> None:
    copy, aside = tmp_path / "copy", tmp_path / "accepted-1"
    keep(tmp_path, log_of(20), copy, ONE)
    aside.mkdir()
    (tmp_path / "book").rename(aside / "book")
    assert lost(tmp_path, copy) == []
    keep(tmp_path, log_of(40), copy, ONE)
    assert lost(tmp_path, copy) == [] and len(copy.read_bytes().splitlines()) == 2 + 4
