"""An event is encoded once, however many read it, and what is kept stays small."""

from __future__ import annotations

from datetime import UTC, datetime

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import UnknownFact
from trunkline.contracts.record import Event
from trunkline_gateway.frames import Frames


def event(seq: int) -> Event:
    return Event(Cursor("k", seq), TenantId("t"), TaskId("x"), "run", datetime(2025, 1, 1, tzinfo=UTC), UnknownFact(type="x"))


def counting(size: int, frame: bytes = b"0123456789") -> tuple[Frames, list[int]]:
    encoded: list[int] = []

    def encode(item: Event) -> bytes:
        encoded.append(item.cursor.seq)
        return frame

    return Frames(encode, size), encoded


def test_an_event_is_encoded_once() -> None:
    frames, encoded = counting(100)
    assert [frames.of(event(1)), frames.of(event(1)), frames.of(event(2))] == [b"0123456789"] * 3
    assert encoded == [1, 2]


def test_what_was_used_last_is_kept() -> None:
    frames, encoded = counting(20)
    for seq in (1, 2, 1, 3, 1, 2):
        frames.of(event(seq))
    assert encoded == [1, 2, 3, 2]


def test_a_frame_larger_than_all_room_is_given_and_not_kept() -> None:
    frames, encoded = counting(5)
    frames.of(event(1))
    frames.of(event(1))
    assert encoded == [1, 1]


def test_what_is_not_shown_takes_no_room() -> None:
    frames, encoded = counting(1_000, b"")
    assert [frames.of(event(1)), frames.of(event(1))] == [b"", b""]
    assert encoded == [1, 1]
