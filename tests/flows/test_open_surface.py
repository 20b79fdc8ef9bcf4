"""The open surface of a whole stack whose limits are on: what a stranger may start, list and attach to, and what the operator may."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = pytest.mark.flow

MINE = "browser-of-mine"
LIE = r'"{\"type\": \"usage\", \"model\": \"free\", \"input_tokens\": 1, \"output_tokens\": 1, \"cost_usd\": 9}"'
"""What an agent may claim to have used."""
ENVIRONMENT = {
    "TRUNKLINE_RATE_LIMITS": "on",
    "TRUNKLINE_UPGRADE_URL": "https://trunkline.test/more",
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": f"sh -c 'sed -i s/sample/simple/ README.md; echo {LIE}'",
}


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT, *ONE_PROCESS) as running:
        make_bare(running.forge, "acme/shop", {"README.md": "sample\n"})
        yield running


def execute(running: Stack, headers: Mapping[str, str] | None = None, **fields: str) -> requests.Response:
    body = {"repo": "acme/shop", "task": "add a line", **fields}
    return requests.post(f"{running.url}/api/pr-agent/execute", json=body, headers=dict(headers or {}), timeout=30)


def get(running: Stack, path: str, expect: int = 200, /, **query: str) -> dict[str, Any]:
    answer = requests.get(f"{running.url}/api/pr-agent/{path}", params=query, timeout=30)
    assert answer.status_code == expect, answer.text
    said: dict[str, Any] = answer.json()
    return said


def test_a_stranger_has_one_job_a_minute_finds_it_and_cannot_become_somebody_else(running: Stack) -> None:
    assert get(running, "rate-limit-status", fingerprint=MINE)["limits"]["day"]["remaining"] == 3
    key = {"Idempotency-Key": "mine"}
    made = execute(running, key, clientFingerprint=MINE)
    assert (made.status_code, made.headers["X-RateLimit-Remaining"]) == (200, "0")
    assert execute(running, key, clientFingerprint=MINE).json() == made.json()

    for n in range(3):
        refused = execute(running, {"X-Forwarded-For": f"203.0.113.{n}"}, clientFingerprint=f"browser-{n}")
        said = refused.json()
        assert (refused.status_code, said["code"], said["upgradeUrl"]) == (429, "RATE_LIMITED", "https://trunkline.test/more")
        assert refused.headers["Retry-After"] == str(said["retryAfter"])
    left = get(running, "rate-limit-status")["limits"]
    assert {word: window["remaining"] for word, window in left.items()} == {"minute": 0, "hour": 1, "day": 2}

    assert get(running, "jobs", 401)["code"] == "AUTH_REQUIRED"
    assert get(running, "jobs", fingerprint="browser-of-others")["jobs"] == []
    assert [job["id"] for job in get(running, "jobs", fingerprint=MINE)["jobs"]] == [made.json()["jobId"]]

    watched = requests.get(f"{running.url}/api/pr-agent/{made.json()['jobId']}/watch", timeout=60).text
    told = [json.loads(line[6:]) for line in watched.splitlines() if line.startswith("data: ")]
    assert (told[0]["message"], told[-1]["type"]) == ("Queued", "result"), told[-1]
    page = get(running, "jobs", fingerprint=MINE, status="success", limit="1")
    assert (page["total"], page["jobs"][0]["filesChanged"]) == (1, 1)
    used = ("llmModel", "llmInputTokens", "llmOutputTokens", "estimatedCostUsd")
    assert [page["jobs"][0][name] for name in used] == [told[-1]["result"].get(name) for name in used] == [None] * 4


def test_the_operator_is_not_counted_and_lists_its_own(running: Stack) -> None:
    operator = {"X-API-Key": (running.folder / "data" / "operator.key").read_text().strip()}
    made = [execute(running, operator) for _ in range(3)]
    assert {answer.status_code for answer in made} == {200}
    listed = requests.get(f"{running.url}/api/pr-agent/jobs", headers=operator, timeout=30).json()
    assert [job["id"] for job in listed["jobs"]] == [answer.json()["jobId"] for answer in reversed(made)]
