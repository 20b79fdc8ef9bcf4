"""Commands that name a job: what can be none is said before anybody is asked, and what is over is not stopped again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.unit.cli.served import Served
from trunkline_cli.__main__ import main
from trunkline_cli.api import job_id
from trunkline_cli.sockets import free_port

JOB = "01a1fe1f-f694-7289-a962-8da64c1a1365"
SUCCEEDED = {"status": "success", "completedAt": "2026-01-01T00:00:00.000Z", "errorCode": None}
CANCELLED = {"status": "failed", "completedAt": "2026-01-01T00:00:00.000Z", "errorCode": "CANCELLED"}
RUNNING = {"status": "running", "completedAt": None, "errorCode": None}


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[str]:
    """One job on the wire: how it stands at the first question, and what an attempt to cancel it is answered."""
    before, answer, after = request.param
    port, stands = free_port(), iter([before, after, after])

    async def show(_: web.Request) -> web.Response:
        return web.json_response(next(stands))

    async def cancel(_: web.Request) -> web.Response:
        return web.json_response({"error": "it is over", "code": "CONFLICT"}, status=answer)

    app = web.Application()
    app.add_routes([web.get(f"/api/pr-agent/{JOB}", show), web.post(f"/api/pr-agent/{JOB}/cancel", cancel)])
    with Served(app, port):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("gateway", "said", "code"),
    [
        ((RUNNING, 202, RUNNING), "is being stopped", 0),
        ((SUCCEEDED, 409, SUCCEEDED), "is over already: it succeeded", 1),
        ((CANCELLED, 202, CANCELLED), "is over already: it was cancelled", 1),
        ((RUNNING, 409, SUCCEEDED), "is over already: it succeeded", 1),
    ],
    indirect=["gateway"],
    ids=["it runs", "it succeeded", "it was cancelled", "it ended meanwhile"],
)
def test_a_cancel_says_what_it_found(gateway: str, said: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cancel", JOB, "--url", gateway]) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("command", ["watch", "cancel"])
def test_what_is_no_id_is_said_to_be_none_though_nobody_is_there_to_ask(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "nope", "--url", f"http://127.0.0.1:{free_port()}"]) == 2
    assert "There is no task 'nope'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("url", ["127.0.0.1:8787", "localhost", "ftp://localhost"])
def test_what_is_no_address_is_refused_and_not_taken_for_a_gateway_that_is_away(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cancel", JOB, "--url", url]) == 2
    assert "http://HOST:PORT" in capsys.readouterr().err


def test_an_id_may_be_typed_with_or_without_dashes() -> None:
    assert [job_id(text) for text in (JOB, JOB.replace("-", ""), JOB.upper())] == [JOB, JOB.replace("-", ""), JOB.upper()]
