"""What is answered is what the models of the API document say: every field, no other, of these types."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import BaseModel

from tests.dialects.world import World, talking
from trunkline.contracts.errors import Exhausted
from trunkline_gateway.dialects.pr_agent import encode
from trunkline_gateway.dialects.pr_agent.schemas import Accepted, Cancelled, Job, Problem

ROOT = "/api/pr-agent"
BODY = {"repo": "acme/shop", "task": "Fix the login bug"}


def holds(model: type[BaseModel], said: dict[str, Any], *, without: frozenset[str] = frozenset()) -> None:
    read = model.model_validate(said, strict=False, extra="forbid")
    assert read.model_dump(mode="json", exclude=set(without)) == said


async def post(session: ClientSession, path: str, body: dict[str, str], status: int) -> dict[str, Any]:
    async with session.post(ROOT + path, json=body) as response:
        assert response.status == status
        said: dict[str, Any] = await response.json()
        return said


async def test_a_job_is_accepted_read_and_cancelled_as_described() -> None:
    async with talking(World()) as session:
        accepted = await post(session, "/execute", BODY, 200)
        holds(Accepted, accepted)
        async with session.get(f"{ROOT}/{accepted['jobId']}") as response:
            holds(Job, await response.json())
        holds(Cancelled, await post(session, f"/{accepted['jobId']}/cancel", {"reason": "enough"}, 202))


@pytest.mark.parametrize(("body", "code"), [({**BODY, "repo": "no"}, "INVALID_REPO"), ({"repo": "acme/shop"}, "MISSING_TASK")])
async def test_a_refusal_is_as_described(body: dict[str, str], code: str) -> None:
    async with talking(World()) as session:
        said = await post(session, "/execute", body, 400)
    assert said["code"] == code
    holds(Problem, said, without=frozenset({"retryAfter", "upgradeUrl"}))


def test_a_refusal_that_says_when_to_come_back_is_as_described() -> None:
    holds(Problem, encode.error(Exhausted("too many", code="RATE_LIMITED", retry_after=3)))
