"""What a process wrote or overheard itself is not read again, unless something else lies there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trunkline.bus.direct import KNOWN, KnownRecords, Stored
from trunkline.contracts.record import Record
from trunkline.contracts.task import TaskAssigned

SUBJECT = "evt.acme.one.task"


def record(attempt: int) -> Record:
    return Record(at=datetime(2026, 1, 1, tzinfo=UTC), cause="SubmitTask", facts=(TaskAssigned(pool="dev", attempt=attempt),))


def written(seq: int, record: Record) -> Stored:
    return Stored(seq, SUBJECT, record.body, own=record)


@pytest.fixture
def known() -> KnownRecords:
    return KnownRecords()


def test_what_was_written_is_the_very_same_when_it_is_heard_of(known: KnownRecords) -> None:
    known.know(written(7, mine := record(1)))
    assert known.stored(7, SUBJECT, mine.body).record is mine


def test_what_was_overheard_is_read_once_whoever_asks_for_it(known: KnownRecords) -> None:
    known.know(overheard := Stored(7, SUBJECT, record(1).body))
    assert known.stored(7, SUBJECT, record(1).body).record is overheard.record == record(1)


def test_what_lies_there_counts_where_it_is_not_what_was_written(known: KnownRecords) -> None:
    known.know(written(7, record(1)))
    assert known.stored(7, SUBJECT, record(2).body).record == record(2)


def test_what_others_wrote_is_read(known: KnownRecords) -> None:
    assert known.stored(8, SUBJECT, record(3).body).record == record(3)


def test_only_the_newest_are_remembered(known: KnownRecords) -> None:
    known.know(written(1, first := record(1)))
    for seq in range(2, KNOWN + 2):
        known.know(written(seq, record(seq)))
    assert known.stored(1, SUBJECT, first.body).record is not first
