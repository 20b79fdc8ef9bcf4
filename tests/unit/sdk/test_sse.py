"""Server-sent events are read the same, however their bytes are cut and their lines end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from trunkline.sdk import sse
from trunkline.sdk.sse import EventReader, ServerEvent, TooLargeEventError

TOLD = (
    "\ufeff: open\n\n"
    'id: k3v9-1\ndata: {"text":"a\u2028b ü €"}\n\n'
    ": keep-alive\n\n"
    'id: k3v9-1.1\nevent: task.created\ndata: {"a":\ndata:  1}\n\n'
    "event: gap\ndata\n\n"
    "id: half\0\nretry: 10\nnonsense\ndata:x\n\n"
    "id: k3v9-9\n\n"
    "data: never ended\n"
)
EVENTS = [
    ServerEvent("k3v9-1", "", '{"text":"a\u2028b ü €"}'),
    ServerEvent("k3v9-1.1", "task.created", '{"a":\n 1}'),
    ServerEvent("", "gap", ""),
    ServerEvent("", "", "x"),
]


def read(*chunks: bytes) -> list[ServerEvent]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_cut_of_the_bytes_gives_the_same_events(end: str) -> None:
    raw = TOLD.replace("\n", end).encode()

    assert read(raw) == EVENTS
    assert read(*(bytes([byte]) for byte in raw)) == EVENTS
    for place in range(len(raw) + 1):
        assert read(raw[:place], raw[place:]) == EVENTS, place


def test_every_pair_of_cuts_gives_the_same_events() -> None:
    raw = b"id: a-1\r\ndata: 1\r\n\r\nid: a-2\r\ndata: 2\r\n\r\n"
    expected = read(raw)

    assert [event.id for event in expected] == ["a-1", "a-2"]
    for first in range(len(raw)):
        for second in range(first, len(raw)):
            chunks = [raw[one:other] for one, other in pairwise((0, first, second, len(raw)))]
            assert read(*chunks) == expected, (first, second)


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LARGEST", 100)
    reader = EventReader()
    reader.feed(b"data: " + b"x" * 90)
    with pytest.raises(TooLargeEventError):
        reader.feed(b"x" * 90)


def test_many_small_lines_of_one_event_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LARGEST", 100)
    reader = EventReader()
    with pytest.raises(TooLargeEventError):
        for _ in range(30):
            reader.feed(b"data: xxxx\n")
