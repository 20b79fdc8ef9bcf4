"""What a process wrote itself is not read again, unless something else lies there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trunkline.bus.direct import OWN, OwnRecords
from trunkline.contracts.record import Record
from trunkline.contracts.task import TaskAssigned

SUBJECT = "evt.acme.one.task"


def record(attempt: int) -> Record:
    return Record(at=datetime(2026, 1, 1, tzinfo=UTC), cause="SubmitTask", facts=(TaskAssigned(pool="dev", attempt=attempt),))


@pytest.fixture
def own() -> OwnRecords:
    return OwnRecords()


def test_what_was_written_is_the_very_same_when_it_is_heard_of(own: OwnRecords) -> None:
    own.wrote(7, written := record(1))
    assert own.stored(7, SUBJECT, written.body).record is written


def test_what_lies_there_counts_where_it_is_not_what_was_written(own: OwnRecords) -> None:
    own.wrote(7, record(1))
    assert own.stored(7, SUBJECT, record(2).body).record == record(2)


def test_what_others_wrote_is_read(own: OwnRecords) -> None:
    assert own.stored(8, SUBJECT, record(3).body).record == record(3)


def test_only_the_newest_are_remembered(own: OwnRecords) -> None:
    first = record(1)
    own.wrote(1, first)
    for seq in range(2, OWN + 2):
        own.wrote(seq, record(seq))
    assert own.stored(1, SUBJECT, first.body).record is not first
