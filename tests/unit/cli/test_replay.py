"""`trunkline replay` asks for a pace and a place, keeps both when it is cut, and shows what `watch` shows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.unit.cli.served import Served
from trunkline_cli.__main__ import main
from trunkline_cli.sockets import free_port

JOB = "01a1fe1f-f694-7289-a962-8da64c1a1365"
AT = "2026-01-01T00:00:0{}.000Z"
EVENTS = [
    {"type": "status", "timestamp": AT.format(0), "status": "pending", "message": "Queued"},
    {"type": "agent", "timestamp": AT.format(3), "eventType": "message", "output": "Tests added"},
    {"type": "error", "timestamp": AT.format(5), "error": "no luck", "code": "X"},
]
Asked = list[tuple[dict[str, str], str]]


@pytest.fixture
def asked() -> Asked:
    """The query and the last event id of every request."""
    return []


@pytest.fixture
def gateway(asked: Asked) -> Iterator[str]:
    """A stream of one job that is cut after every event."""

    async def stream(request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID", "")
        asked.append((dict(request.query), last))
        number = int(last.partition("-")[2] or "0")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"id: k-%d\ndata: %b\n\n" % (number + 1, json.dumps(EVENTS[number]).encode()))
        return response

    app, port = web.Application(), free_port()
    app.add_routes([web.get(f"/api/pr-agent/{JOB}/stream", stream)])
    with Served(app, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.delenv("TRUNKLINE_TOKEN", raising=False)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))


def test_a_replay_is_told_as_it_is_watched_and_goes_on_at_its_pace_after_a_cut(
    gateway: str, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", JOB, "--speed", "10", "--from", "k-1", "--url", gateway]) == 1
    shown = capsys.readouterr().out
    assert "3.00 s" in shown
    assert "Tests added" in shown
    assert "no luck" in shown
    assert asked == [({"speed": "10", "from": "k-1"}, last) for last in ("", "k-1", "k-2")]


def test_a_replay_as_json_is_one_event_a_line(gateway: str, asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", JOB, "--json", "--url", gateway]) == 1
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["k-1", "k-2", "k-3"]
    assert asked[0] == ({"speed": "1"}, "")


@pytest.mark.parametrize("speed", ["0", "1001", "fast", "-1"])
def test_a_speed_that_is_none_is_refused(gateway: str, asked: Asked, speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", JOB, f"--speed={speed}", "--url", gateway]) == 2
    assert "a number from 0.1 to 1000" in " ".join(capsys.readouterr().err.split())
    assert asked == []


@pytest.mark.parametrize("speed", ["max", "1000"])
def test_what_is_faster_than_a_gateway_paces_is_told_as_it_stands(gateway: str, asked: Asked, speed: str) -> None:
    assert main(["replay", JOB, "--speed", speed, "--url", gateway]) == 1
    assert [query for query, _ in asked] == [{}] * 3
