"""Bad input at the pr_agent surface: one clear error each, and nothing happened."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.dialects.world import World, served, talking
from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import Broken, Denied, DomainError, Exhausted, Overdue, Unauthenticated, Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import SubmitTask
from trunkline_gateway.body import BodyReader

EXECUTE = "/api/pr-agent/execute"
JSON = {"Content-Type": "application/json"}
GOOD = {"repo": "myorg/myrepo", "task": "add tests"}


def deep(levels: int) -> bytes:
    return b'{"repo":"o/n","task":"t","x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


BODIES: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "INVALID_JSON"),
    "malformed": (b'{"repo": ', 400, "INVALID_JSON"),
    "trailing": (b'{"repo":"o/n","task":"t"} x', 400, "INVALID_JSON"),
    "array": (b'["o/n"]', 400, "INVALID_JSON"),
    "text": (b'"o/n"', 400, "INVALID_JSON"),
    "null": (b"null", 400, "INVALID_JSON"),
    "33 levels": (deep(33), 400, "INVALID_JSON"),
    "100,000 levels": (deep(100_000), 400, "INVALID_JSON"),
    "unclosed levels": (b"[" * 200_000, 400, "INVALID_JSON"),
    "twice the same key": (b'{"repo":"o/n","task":"t","repo":"o/m"}', 400, "INVALID_JSON"),
    "twice the same key inside": (b'{"repo":"o/n","task":"t","metadata":{"taskId":"1","taskId":"2"}}', 400, "INVALID_JSON"),
    "latin-1": ('{"repo":"o/n","task":"caf\u00e9"}'.encode("latin-1"), 400, "INVALID_JSON"),
    "utf-16": ('{"repo":"o/n","task":"t"}'.encode("utf-16"), 400, "INVALID_JSON"),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), 400, "INVALID_JSON"),
    "NaN": (b'{"repo":"o/n","task":"t","x":NaN}', 400, "INVALID_JSON"),
    "Infinity": (b'{"repo":"o/n","task":"t","x":-Infinity}', 400, "INVALID_JSON"),
    "1e999": (b'{"repo":"o/n","task":"t","x":1e999}', 400, "INVALID_JSON"),
    "an integer beyond 64 bits": (b'{"repo":"o/n","task":"t","x":9223372036854775808}', 400, "INVALID_JSON"),
    "a number of 10,000 digits": (b'{"repo":"o/n","task":"t","x":' + b"1" * 10_000 + b"}", 400, "INVALID_JSON"),
    "half a character": (b'{"repo":"o/n","task":"\\ud800"}', 400, "INVALID_JSON"),
    "half a character as a key": (b'{"repo":"o/n","task":"t","\\udfff":1}', 400, "INVALID_JSON"),
    "NUL": (b'{"repo":"o/n","task":"a\\u0000b"}', 400, "INVALID_JSON"),
    "raw control character": (b'{"repo":"o/n","task":"a\x01b"}', 400, "INVALID_JSON"),
    "256 KiB and one": (b" " * ((256 << 10) + 1), 413, "PAYLOAD_TOO_LARGE"),
}

FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "repo is a number": ({"repo": 5}, "INVALID_REPO"),
    "repo is null": ({"repo": None}, "INVALID_REPO"),
    "repo is a list": ({"repo": ["o/n"]}, "INVALID_REPO"),
    "task is a number": ({"task": 5}, "MISSING_TASK"),
    "task is an object": ({"task": {}}, "MISSING_TASK"),
    "task is empty": ({"task": ""}, "MISSING_TASK"),
    "task is white": ({"task": "\u2003\n"}, "MISSING_TASK"),
    "task is too long": ({"task": "x" * ((128 << 10) + 1)}, "TASK_TOO_LONG"),
    "branch is a number": ({"branch": 1}, "INVALID_BRANCH"),
    "branch is empty": ({"branch": ""}, "INVALID_BRANCH"),
    "branch is an option": ({"branch": "--upload-pack=x"}, "INVALID_BRANCH"),
    "branch is shell text": ({"branch": "main; rm -rf /"}, "INVALID_BRANCH"),
    "skill is too long": ({"skill": "x" * 101}, "INVALID_REQUEST"),
    "fingerprint is a number": ({"clientFingerprint": 7}, "INVALID_REQUEST"),
    "fingerprint is too long": ({"clientFingerprint": "x" * 201}, "INVALID_REQUEST"),
    "metadata is text": ({"metadata": "x"}, "INVALID_REQUEST"),
    "title is a number": ({"metadata": {"taskTitle": 1}}, "INVALID_REQUEST"),
    "token is a number": ({"githubToken": 1}, "INVALID_REQUEST"),
    "budget is nothing": ({"budgetUsd": 0}, "INVALID_REQUEST"),
    "budget is negative": ({"budgetUsd": -3.5}, "INVALID_REQUEST"),
    "budget is text": ({"budgetUsd": "5"}, "INVALID_REQUEST"),
    "budget is true": ({"budgetUsd": True}, "INVALID_REQUEST"),
    "budget is beyond all bounds": ({"budgetUsd": 1e300}, "INVALID_REQUEST"),
    "rules are an object": ({"toolRules": {"tool": "Bash"}}, "INVALID_REQUEST"),
    "a rule without an argument": ({"toolRules": [{"tool": "Bash", "then": "ask"}]}, "INVALID_REQUEST"),
    "a rule that allows": ({"toolRules": [{"tool": "Bash", "argument": "*", "then": "allow"}]}, "INVALID_REQUEST"),
    "a rule with a misspelt word": ({"toolRules": [{"tool": "Bash", "argument": "*", "then": "deny", "Reason": "x"}]}, "INVALID_REQUEST"),
    "101 rules": ({"toolRules": [{"tool": "Bash", "argument": "*", "then": "deny"}] * 101}, "INVALID_REQUEST"),
}

REPOSITORIES = [
    "", "n", "o/", "/n", "o/n/", "o/n/x", "../n", "o/..", "o/.",
    "./n", "../../etc/passwd", "o/../n", "o//n", "o n/m", "o/n m", " o/n", "o/n ",
    "o/$(id)", "o/`id`", "o/n;id",
    "o/n|id", "o/n&", "o/n\n", "o/n\t", "o/\x1b[31m", "-o/n", "o/-n", "o/n.git", "o\\n", "o/n%2e", "o/n\u202e",
    "https://github.com/o/n", "o/n?x", "o/n#x", "ö/n", "o/" + "n" * 300, "o" * 300 + "/n",
]  # fmt: skip


async def refused(path: str, status: int, code: str, **request: Any) -> dict[str, Any]:
    """Sends a request that must be refused in the shape of the document, and must change nothing."""
    world = World()
    async with talking(world) as session, session.post(path, **request) as response:
        said: dict[str, Any] = await response.json()
        assert (response.status, said.get("code")) == (status, code), said
        assert said["error"] == said["message"] != ""
        assert set(said) == {"error", "message", "code", "details"}
        assert response.headers["X-Request-Id"]
    assert not any(isinstance(command, SubmitTask) for command in world.sent)
    return said


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_none_is_refused(name: str) -> None:
    body, status, code = BODIES[name]
    await refused(EXECUTE, status, code, data=body, headers=JSON)


@pytest.mark.parametrize("name", FIELDS)
async def test_a_field_that_does_not_fit_is_refused(name: str) -> None:
    fields, code = FIELDS[name]
    said = await refused(EXECUTE, 400, code, json={**GOOD, **fields})
    assert said["details"]["field"].split(".")[0] in fields


@pytest.mark.parametrize("repo", REPOSITORIES)
async def test_a_name_that_is_no_repository_is_refused(repo: str) -> None:
    await refused(EXECUTE, 400, "INVALID_REPO", json={**GOOD, "repo": repo})


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
async def test_a_body_of_another_kind_is_refused(headers: dict[str, str]) -> None:
    await refused(EXECUTE, 415, "UNSUPPORTED_MEDIA_TYPE", data=json.dumps(GOOD), headers=headers)


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON; Charset=UTF-8"])
async def test_json_is_taken_however_it_is_announced(kind: str) -> None:
    async with talking(World()) as session, session.post(EXECUTE, data=json.dumps(GOOD), headers={"Content-Type": kind}) as response:
        assert response.status == 200


async def test_a_task_of_100_kib_works() -> None:
    world = World()
    async with talking(world) as session, session.post(EXECUTE, json={**GOOD, "task": "x" * (100 << 10)}) as response:
        assert response.status == 200
    (command,) = world.sent
    assert isinstance(command, SubmitTask)
    assert len(command.assignment.prompt) == 100 << 10


async def test_a_body_without_end_is_refused_while_it_comes() -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 64 << 20:
            sent += 65_536
            yield b" " * 65_536

    async with talking(World()) as session, session.post(EXECUTE, data=endless(), headers=JSON) as response:
        assert (response.status, (await response.json())["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert sent < 64 << 20


async def raw(url: str, *pieces: bytes) -> bytes:
    """What comes back for bytes sent as they are, until the server closes or half a second after silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(5):
        answer = await reader.readuntil(b"\r\n\r\n")
        answer += await reader.read(4096)
    writer.close()
    return answer


async def test_a_large_body_is_refused_before_it_is_sent() -> None:
    async with served(World()) as gateway:
        head = f"POST {EXECUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n"
        assert b" 413 " in await raw(gateway.url, head.encode())


async def test_a_body_that_drips_is_refused_after_its_deadline() -> None:
    world = World()
    async with served(world, body=BodyReader(seconds=0.2)) as gateway:
        head = f"POST {EXECUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        answer = await raw(gateway.url, head.encode())
    assert b" 408 " in answer
    assert b'"BODY_TIMEOUT"' in answer
    assert world.sent == []


async def test_chunks_that_are_malformed_are_refused() -> None:
    world = World()
    async with served(world) as gateway:
        head = f"POST {EXECUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        assert b" 400 " in await raw(gateway.url, head.encode())
    assert world.sent == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unavailable("the bus is away", code="BUS_AWAY"), 503, "UNAVAILABLE"),
        (Broken("secret inside", code="X", where="secret"), 500, "INTERNAL_ERROR"),
        (Exhausted("slow down", retry_after=7), 429, "RATE_LIMITED"),
        (Unauthenticated("who are you"), 401, "AUTH_REQUIRED"),
        (Denied("not you"), 403, "DENIED"),
        (Overdue("too late"), 504, "OVERDUE"),
        (ZeroDivisionError("secret inside"), 500, "INTERNAL_ERROR"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_every_refusal_is_spoken_in_the_shape_of_the_document(error: DomainError, status: int, code: str) -> None:
    world = World(refusal=error)
    async with talking(world) as session, session.post(EXECUTE, json=GOOD) as response:
        said = await response.json()
        assert (response.status, said["code"]) == (status, code)
        assert {"error", "message", "code", "details"} <= set(said)
        assert ("Retry-After" in response.headers) == (status in (429, 503))
        assert "where" not in said["details"]
        assert not isinstance(error, ZeroDivisionError) or "secret" not in json.dumps(said)


async def test_a_role_that_may_not_is_refused_and_nothing_happens() -> None:
    world = World(principal=Principal(TenantId("public"), "ann", Role.APPROVER))
    async with talking(world) as session:
        for path in (EXECUTE, "/api/pr-agent/550e8400-e29b-41d4-a716-446655440000/cancel"):
            async with session.post(path, json=GOOD) as response:
                assert (response.status, (await response.json())["code"]) == (403, "DENIED")
    assert world.sent == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_another_method_is_told_which_one_is_taken(method: str) -> None:
    async with talking(World()) as session, session.request(method, EXECUTE) as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_a_token_reaches_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    async with talking(world) as session:
        for token in ("ghp_canary", 5, "ghp_canary" * 500):
            body = {**GOOD, "githubToken": token}
            headers = {"Authorization": "Bearer ghp_canary"}
            async with session.post(f"{EXECUTE}?token=ghp_canary", json=body, headers=headers) as response:
                assert "ghp_canary" not in await response.text()
    assert "ghp_canary" not in repr(world.sent) + repr(world.events)
    logged = capsys.readouterr()
    assert "http.request" in logged.out + logged.err
    assert "ghp_canary" not in logged.out + logged.err


async def test_what_the_caller_wrote_beside_the_task_is_kept() -> None:
    world = World()
    beside = {"clientFingerprint": "f", "skill": "s", "useSDK": False, "metadata": {"taskId": "1", "taskTitle": "T", "more": 1}, "new": 1}
    async with talking(world) as session, session.post(EXECUTE, json={**GOOD, **beside}) as response:
        assert response.status == 200
    (command,) = world.sent
    assert isinstance(command, SubmitTask)
    assert command.assignment.labels == {
        "clientFingerprint": "f", "skill": "s", "useSDK": "false", "metadata.taskId": "1", "metadata.taskTitle": "T",
    }  # fmt: skip
    assert (command.tenant, command.submitted_by, command.assignment.branch) == ("public", "anonymous", "main")


async def test_a_job_is_found_by_its_id_in_every_spelling() -> None:
    world = World()
    async with talking(world) as session, session.post(EXECUTE, json=GOOD) as response:
        job = (await response.json())["jobId"]
        for spelling in (job, job.upper(), job.replace("-", "")):
            async with session.get(f"/api/pr-agent/{spelling}") as response:
                assert (response.status, (await response.json())["id"]) == (200, job)
        for wrong in (job[:-1], job + "0", job.replace("-", "", 1), "{" + job + "}"):
            async with session.get(f"/api/pr-agent/{wrong}") as response:
                assert (response.status, (await response.json())["code"]) == (404, "NOT_FOUND")
