"""Requests by the hundred, made of the served document, good and bad: no 5xx, nothing undocumented, no answer of another shape.

`TRUNKLINE_SCHEMATHESIS=500 pytest tests/flows/test_schemathesis.py` asks more: so many requests an operation, every limit of every
field, and `/auth/revoke` too. `make campaigns` does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

LONG = os.environ.get("TRUNKLINE_SCHEMATHESIS", "")
SECONDS = 3600 if LONG else 600  # a minute on a machine that has nothing else to do
pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(SECONDS + 60)]

SECRET = "a secret for this test, longer than 32 bytes"
ENVIRONMENT = {
    "ORCHESTRATOR_JWT_SECRET": SECRET,
    "TRUNKLINE_RATE_LIMITS": "off",
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": "true",
}
SEED = 20250112
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
)
CONFIG = "[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 422, 429, 431]\n"
BY_THE_FIELD = r"/approvals|/tasks/\{task_id\}/messages$|/webhooks$|/api/pr-agent/(execute|jobs)$|/api/sandbox/(create|usage)$"
"""One of each kind of door, where every limit of every field is tried in the short form too; for all of them that takes half a minute."""
ONLY_THERE = f"""
[[operations]]
include-path-regex = '^(?!{BY_THE_FIELD})'
phases.coverage.enabled = false
"""
STREAMS = "(stream|watch|replay|/events)$"
"""They go on until the task ends; the tests of streams read them."""
ELSEWHERE = "/api/inngest$"
"""Answers 501, as it must, to whoever takes us for another engine."""
TICKETS = {"GET /v1/realtime/connect", "GET /v1/realtime/sse"}
"""They take a ticket of their own, and a made one may be none in all that was tried."""
REVOKE = "/auth/revoke"
"""Asked with a credential of its own, for it takes up every name that it has seen: also that of its own caller."""


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT, *ONE_PROCESS) as running:
        make_bare(running.forge, "acme/shop", {"README.md": "sample\n"})
        yield running


def token(subject: str) -> str:
    now = int(time.time())
    return jwt.encode({"sub": subject, "role": "admin", "iat": now, "exp": now + SECONDS + 600}, SECRET, algorithm="HS256")


def asked(running: Stack, folder: Path, subject: str, choice: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The program's own process: what it warns of and how it samples is not ours."""
    flags = {
        "--checks": ",".join(CHECKS),
        "--generation-database": "none",
        "--header": f"Authorization: Bearer {token(subject)}",
        "--max-examples": LONG or "1",
        "--request-timeout": "20",
        "--seed": str(SEED),
        **({} if LONG else {"--phases": "examples,coverage,stateful"}),
        **choice,
    }
    (folder / "schemathesis.toml").write_text(CONFIG + ("" if LONG else ONLY_THERE))
    words = [word for pair in flags.items() for word in pair]
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "run", f"{running.url}/openapi.json", *words, "--continue-on-failure", "--no-color", "--no-shrink"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)


def _refused(said: str) -> set[str]:
    """What answered nothing but that it does not know the caller."""
    _, _, after = said.partition("Authentication failed:")
    return set(re.findall(r"- ([A-Z]+ /\S+)", after.partition("\N{ELECTRIC LIGHT BULB}")[0]))


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param({"--exclude-path-regex": f"{STREAMS}|{ELSEWHERE}|{REVOKE}"}, id="everything"),
        *([pytest.param({"--include-path": REVOKE, "--phases": "examples,coverage,fuzzing"}, id="revoking")] if LONG else ()),
    ],
)
def test_no_request_gets_an_answer_that_the_document_does_not_allow(running: Stack, tmp_path: Path, choice: dict[str, str]) -> None:
    done = asked(running, tmp_path, f"caller-{len(choice)}", choice)
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    assert REVOKE in choice.values() or _refused(done.stdout) <= TICKETS, "it was let in nowhere, so nothing was tried"
    assert running.healthy(), "it did not survive"
