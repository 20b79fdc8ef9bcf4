"""What is no HTTP request is refused like every other: in the shape of the API, in one log line, and without a word of it coming back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import CapturingLogger

from tests.dialects.world import World, served

CANARY = b"ghp_canaryBBB"
HOST = b"Host: localhost\r\n"
JOB = b"GET /api/pr-agent/x HTTP/1.1\r\n" + HOST
EXECUTE = b"POST /api/pr-agent/execute HTTP/1.1\r\n" + HOST
BODY = b'{"githubToken":"%b"}' % CANARY

BROKEN: dict[str, tuple[bytes, int, str]] = {
    "control character in a header": (JOB + b"Authorization: Bearer %b\x01z\r\n\r\n" % CANARY, 400, "INVALID_REQUEST"),
    "header without a colon": (JOB + b"Bearer %b\r\n\r\n" % CANARY, 400, "INVALID_REQUEST"),
    "header over the limit": (JOB + b"Authorization: Bearer %b%b\r\n\r\n" % (CANARY, b"a" * 8190), 431, "HEADERS_TOO_LARGE"),
    "header far over the limit": (JOB + b"Authorization: Bearer %b%b\r\n\r\n" % (CANARY, b"a" * 100_000), 431, "HEADERS_TOO_LARGE"),
    "name of a header over the limit": (JOB + CANARY + b"a" * 8190 + b": x\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
    "too many headers": (JOB + b"".join(b"X-%d: %b\r\n" % (n, CANARY) for n in range(200)) + b"\r\n", 431, "HEADERS_TOO_LARGE"),
    "path over the limit": (b"GET /api/pr-agent/%b%b HTTP/1.1\r\n%b\r\n" % (CANARY, b"a" * 8192, HOST), 414, "URI_TOO_LONG"),
    "control character in the query": (b"GET /api/pr-agent/x?t=%b\x01 HTTP/1.1\r\n%b\r\n" % (CANARY, HOST), 400, "INVALID_REQUEST"),
    "length that is no number": (EXECUTE + b"Content-Length: x1\r\n\r\n" + BODY, 400, "INVALID_REQUEST"),
    "two lengths": (EXECUTE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n" + BODY, 400, "INVALID_REQUEST"),
    "length and chunks": (EXECUTE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY, 400, "INVALID_REQUEST"),
    "coding that nobody knows": (EXECUTE + b"Transfer-Encoding: %b\r\n\r\n" % CANARY, 400, "INVALID_REQUEST"),
    "expectation that nobody knows": (EXECUTE + b"Expect: %b\r\nContent-Length: 1\r\n\r\nx" % CANARY, 400, "INVALID_REQUEST"),
    "no host": (b"GET /api/pr-agent/x HTTP/1.1\r\nX: %b\r\n\r\n" % CANARY, 400, "INVALID_REQUEST"),
    "two hosts": (JOB + b"Host: %b\r\n\r\n" % CANARY, 400, "INVALID_REQUEST"),
    "version of another age": (b"GET /api/pr-agent/%b HTTP/9.9\r\n%b\r\n" % (CANARY, HOST), 400, "INVALID_REQUEST"),
    "bytes that are no text": (b"GET /api/pr-agent/\xff\xfe%b HTTP/1.1\r\n%b\r\n" % (CANARY, HOST), 400, "INVALID_REQUEST"),
    "path elsewhere": (b"GET /%b\x01 HTTP/1.1\r\n%b\r\n" % (CANARY, HOST), 400, "INVALID_REQUEST"),
    "no request line": (CANARY + b"\r\n\r\n", 400, "INVALID_REQUEST"),
    "TLS": (b"\x16\x03\x01" + CANARY + b"\r\n\r\n", 400, "INVALID_REQUEST"),
}  # fmt: skip

ELSEWHERE = ("path elsewhere", "no request line", "TLS")
"""What no surface claims: the orchestrator's speaks for it."""


@pytest.fixture
def lines() -> Iterator[CapturingLogger]:
    """The log of ours, as it would be written."""
    logger, before = CapturingLogger(), structlog.get_config()
    structlog.configure(processors=[structlog.processors.JSONRenderer()], logger_factory=lambda *_: logger, cache_logger_on_first_use=False)
    yield logger
    structlog.configure(**before)


async def raw(url: str, *pieces: bytes) -> bytes:
    """Everything that comes back for bytes sent as they are, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("name", BROKEN)
async def test_what_cannot_be_read_is_refused_and_nothing_of_it_is_said_again(
    name: str, lines: CapturingLogger, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sent, status, code = BROKEN[name]
    world = World()
    async with served(world) as gateway:
        answer = await raw(gateway.url, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    said = json.loads(body)
    assert first.startswith(f"HTTP/1.1 {status} ")
    assert {"Content-Type: application/json", "Connection: close", "Server: trunkline"} <= set(headers)
    assert [name for name in ("Python", "aiohttp") if name in head.decode()] == []
    assert set(said) == ({"detail"} if name in ELSEWHERE else {"error", "message", "code", "details"})
    assert said.get("code", code) == code
    (line,) = [json.loads(call.args[0]) for call in lines.calls]
    assert (line["event"], line["status"], line["method"]) == ("http.request", status, "-")
    out = capsys.readouterr()
    everything = head + body + repr(lines.calls).encode() + (out.out + out.err + caplog.text).encode()
    assert b"canary" not in everything
    assert b"Traceback" not in everything
    assert world.sent == []


@pytest.mark.parametrize(
    ("line", "dialect", "kind"),
    [
        (b"GET /api/pr-agent/x?y=\x01 HTTP/1.1", "pr_agent", "application/json"),
        (b"GET /forge/local/x\x01 HTTP/1.1", "pages", "text/html"),
        (b"GET /api/pr-agents\x01 HTTP/1.1", "orchestrator", "application/json"),
        (b"nonsense", "orchestrator", "application/json"),
    ],
)
async def test_it_is_refused_by_whoever_would_have_answered(line: bytes, dialect: str, kind: str, lines: CapturingLogger) -> None:
    async with served(World()) as gateway:
        answer = await raw(gateway.url, line + b"\r\n" + HOST + b"\r\n")
    assert f"Content-Type: {kind}" in answer.decode()
    assert json.loads(lines.calls[0].args[0])["dialect"] == dialect


async def test_the_same_holds_for_what_comes_later_on_a_connection(lines: CapturingLogger) -> None:
    async with served(World()) as gateway:
        answer = await raw(gateway.url, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", JOB + CANARY + b"\r\n\r\n", JOB + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 400 " in answer
    assert b"canary" not in answer + repr(lines.calls).encode()


@pytest.mark.parametrize(("path", "status"), [(b"execute", b" 400 "), (b"nowhere", b" 404 ")])
async def test_a_body_that_turns_to_nonsense_is_given_up_at_once(
    path: bytes, status: bytes, lines: CapturingLogger, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /api/pr-agent/" + path + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with served(World()) as gateway:
        answer = await raw(gateway.url, head, CANARY + b"\r\n")
    assert status in answer
    assert b"canary" not in answer + repr(lines.calls).encode() + caplog.text.encode()


async def test_a_request_in_many_pieces_is_read() -> None:
    request = b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\nX: " + b"a" * 8180 + b"\r\n\r\n"
    async with served(World()) as gateway:
        answer = await raw(gateway.url, request[:3], request[3:40], request[40:])
    assert answer.startswith(b"HTTP/1.1 200 ")
