"""A book that tells of more than the log holds is told apart: a backup was restored, or it is another log."""

from __future__ import annotations

from pathlib import Path

from tests.unit.audit.books import keep, log_of
from trunkline.audit.checking import Kind
from trunkline.audit.lives import of_another_life, restored
from trunkline.bus.log_life import LogLife


def test_a_restore_is_told_as_that_and_another_log_as_another(tmp_path: Path) -> None:
    newest = keep(tmp_path, log_of(60)).last  # in the life e1
    assert newest is not None
    assert of_another_life(newest, LogLife("e1", b"", 1)) is None
    assert of_another_life(newest, LogLife("e2", b"", 1, (("e1", 60),))) is None
    gone = of_another_life(newest, LogLife("e2", b"", 1, (("e1", 45),)))
    assert gone is not None and (gone.kind, gone.first, gone.last) == (Kind.RESTORED, 46, 60)
    other = of_another_life(newest, LogLife("x9", b"", 1))
    assert other is not None and other.kind is Kind.REPLACED
    assert restored(newest, LogLife("e2", b"", 1, (("e1", 45),))) and not restored(newest, LogLife("x9", b"", 1))
