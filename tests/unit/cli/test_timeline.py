"""What the command line makes of a stream, and how long it waits before it starts something again: pure."""

from __future__ import annotations

import json

from trunkline_cli.api import StreamEvent, read
from trunkline_cli.blocks import Block, blocks, parse
from trunkline_cli.nats_outside import Varz, monitor_of, objection
from trunkline_cli.nats_wire import ServerInfo
from trunkline_cli.supervisor import delay
from trunkline_cli.timeline import Took, brief, durations, tell

INFO = ServerInfo(server_id="A", version="2.15.1", jetstream=True)


def at(second: float, **fields: object) -> StreamEvent:
    return StreamEvent.model_validate({"timestamp": f"2026-01-01T00:00:{second:06.3f}Z", **fields})


def varz(**jetstream: object) -> Varz:
    return Varz.model_validate({"server_id": "A", "jetstream": jetstream})


def test_a_block_of_the_stream_becomes_an_event_with_its_id() -> None:
    body = json.dumps({"type": "status", "timestamp": "2026-01-01T00:00:00Z", "phase": "clone", "unknown": 1})
    block = parse(b"id: k3v9-7\ndata: " + body.encode())
    assert block is not None and (event := read(block)) is not None
    assert (event.id, event.phase) == ("k3v9-7", "clone")


def test_heartbeats_and_what_nobody_understands_are_passed_over() -> None:
    assert [parse(block) for block in (b": alive", b"", b"data: {", b"data: 7", b"retry: 100")] == [None] * 5
    assert read(Block("1", "", {"type": "status"})) is None


def test_a_block_that_came_in_two_pieces_is_read_once_it_is_whole() -> None:
    found, rest = blocks(b': open\n\nid: 1\nevent: gap\ndata: {"a": 1}\n\nid: 2\nda')
    assert (found, rest) == ([Block("1", "gap", {"a": 1})], b"id: 2\nda")
    assert blocks(rest + b'ta:{"b": 2}\n\n') == ([Block("2", "", {"b": 2})], b"")


def test_a_text_with_a_line_end_of_another_script_is_no_reason_to_lose_an_event() -> None:
    assert parse('data: {"said": "one\u2028two\x85three"}'.encode()) == Block("", "", {"said": "one\u2028two\x85three"})


def test_a_phase_lasts_until_the_next_begins() -> None:
    events = [
        at(0, type="status", status="pending"),
        at(1, type="status", phase="sandbox"),
        at(2, type="status", phase="sandbox"),
        at(4, type="status", phase="agent"),
        at(9, type="result"),
    ]
    assert durations(events) == [Took("queue", 1.0), Took("sandbox", 3.0), Took("agent", 5.0)]
    assert durations([]) == []


def test_a_long_output_is_shown_by_its_last_line() -> None:
    assert brief("one\ntwo\n\nFAILED (failures=1)\n") == "FAILED (failures=1)  (+2 lines)"
    assert brief(" \n") == "(nothing)"
    assert len(brief("x" * 1000)) == 100


def test_a_failed_tool_looks_like_one() -> None:
    assert tell(at(0, type="agent", eventType="tool_result", output="no", isError=True)).style == "red"


def test_what_dies_again_and_again_is_started_later_each_time_but_never_much_later() -> None:
    assert [round(delay(deaths, 0), 1) for deaths in range(1, 8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert delay(1000, 1) == 6.0


def test_an_outside_server_is_judged_by_what_it_reports() -> None:
    assert objection(varz(config={"sync_always": True}), INFO) is None
    assert "before they are on disk" in str(objection(varz(config={"sync_always": False}), INFO))
    assert "without JetStream" in str(objection(varz(), INFO))
    other = ServerInfo(server_id="B", version="2.15.1", jetstream=True)
    assert "another server" in str(objection(varz(config={"sync_always": True}), other))


def test_the_monitoring_port_is_looked_for_where_the_server_is() -> None:
    assert monitor_of("nats://u:p@bus.example:4222,nats://other:4222") == "http://bus.example:8222"
    assert monitor_of("localhost:4222") == "http://localhost:8222"
