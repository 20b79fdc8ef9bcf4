"""Knowledge jobs over HTTP: what is submitted for one, in which sandbox it runs, and what is refused."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.omnis import OmniTerms
from tests.dialects.world import World, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.job_env import NEVER
from trunkline.contracts.sandbox import SandboxStatus, StartSandbox
from trunkline.contracts.task import Assignment, Executor, SubmitTask

ANN = Principal(HOME, "ann", Role.AGENT)
INPUT = 'what\'s in "it"; $(rm -rf /) `id`\n\u2603'
JOB = re.compile(r"\Ajob_[0-9]{13}_[a-z0-9]{10}\Z")


def small_world(principal: Principal = ANN) -> World:
    return World(omni=OmniTerms(), principal=principal)


async def ready(session: ClientSession, user: str = "user-1") -> str:
    async with session.post("/api/sandbox/create", json={"userId": user}) as answer:
        id = str((await answer.json())["sandboxId"])
    for _ in range(2):
        async with session.get("/api/sandbox/status", params={"id": id}):
            pass
    return id


def asked(sandbox: str, **more: Any) -> dict[str, Any]:
    return {"input": INPUT, "sandboxId": sandbox, "userId": "user-1", "taskId": "t-1", **more}


async def post(session: ClientSession, body: Any, status: int = 202, **headers: str) -> Any:
    async with session.post("/api/knowledge/process", json=body, headers=headers) as answer:
        said = await answer.json()
        assert answer.status == status, said
        return said


def submitted(world: World) -> list[SubmitTask]:
    return [command for command in world.sent if isinstance(command, SubmitTask)]


def assignment(world: World) -> Assignment:
    (command,) = submitted(world)
    return command.assignment


async def test_a_job_is_a_task_in_the_named_sandbox_with_its_input_as_it_was_sent() -> None:
    world = small_world()
    async with talking(world) as session:
        sandbox = await ready(session)
        said = await post(session, asked(sandbox, env={"OMNI_A": "b; c"}))
    assert said.keys() == {"jobId", "accepted"} and said["accepted"] is True and JOB.match(said["jobId"])
    made = assignment(world)
    assert (made.prompt, made.sandbox, made.repo, made.type, made.surface) == (INPUT, sandbox, "", "knowledge", "omni")
    assert (made.model, made.executor, made.pool) == ("sonnet", Executor.SANDBOX, "dev")
    assert made.env == {"OMNI_A": "b; c", "USER_ID": "user-1"}
    assert made.labels == {"omni_task": "t-1", "omni_job": said["jobId"], "omni_sandbox": sandbox}


@pytest.mark.parametrize(
    ("kept", "pool"), [({"site": "vm-1a2b3c4d"}, "site-vm-1a2b3c4d"), ({"provider": "e2b"}, "at-e2b"), ({"provider": "local"}, "dev")]
)
async def test_a_job_waits_where_its_sandbox_is_kept(kept: dict[str, str], pool: str) -> None:
    world = small_world()
    async with talking(world) as session:
        sandbox = await ready(session)
        world.boxes.now(world.boxes.views[sandbox], SandboxStatus.READY, **kept)
        await post(session, asked(sandbox))
    assert assignment(world).pool == pool


async def test_the_same_request_again_is_the_same_job() -> None:
    world = small_world()
    async with talking(world) as session:
        sandbox = await ready(session)
        first = await post(session, asked(sandbox), **{"Idempotency-Key": "k"})
        assert await post(session, asked(sandbox), **{"Idempotency-Key": "k"}) == first
        world.memory.clear()  # the answer was never kept
        assert await post(session, asked(sandbox), **{"Idempotency-Key": "k"}) == first
        assert await post(session, asked(sandbox)) != first
    assert len({command.task_id for command in submitted(world)}) == 2


async def test_a_stopped_sandbox_is_started_once_by_all_who_want_to_work_in_it() -> None:
    world = small_world()
    async with talking(world) as session:
        sandbox = await ready(session)
        async with session.post("/api/sandbox/stop", json={"sandboxId": sandbox}):
            pass
        await asyncio.gather(*(post(session, asked(sandbox, taskId=f"t-{number}")) for number in range(3)))
    assert world.boxes.views[sandbox].status is SandboxStatus.READY
    assert any(isinstance(wish, StartSandbox) for wish in world.boxes.wished)
    assert len(submitted(world)) == 3


async def test_a_sandbox_that_cannot_be_started_is_an_error_of_the_server() -> None:
    world = small_world()
    async with talking(world) as session:
        sandbox = await ready(session)
        async with session.post("/api/sandbox/stop", json={"sandboxId": sandbox}):
            pass
        world.boxes.starts = SandboxStatus.ERROR
        assert (await post(session, asked(sandbox), 500))["error"]["code"] == "SANDBOX_RESTART_FAILED"
        assert (await post(session, asked(sandbox), 409))["error"]["code"] == "SANDBOX_NOT_READY"
    assert not submitted(world)


NAMES = [
    *("LD_PRELOAD", "PATH", "GIT_SSH_COMMAND", "GIT_DIR", "ANTHROPIC_BASE_URL", "X_BASE_URL", "HTTP_PROXY", "https_proxy", "all_proxy"),
    *("no_proxy", "HOME", "BASH_ENV", "PYTHONPATH", "NODE_OPTIONS", "USER_ID", "ANTHROPIC_API_KEY", "OMNI_TOKEN", "omni_base_url"),
    *("NOT_ON_THE_LIST", "", "A B", "OMNI=A", "1OMNI", "OMNI_\u00fc", "OMNI_" + "X" * 200),
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_variable_outside_the_list_is_refused(name: str) -> None:
    world = small_world()
    async with talking(world) as session:
        error = (await post(session, asked(await ready(session), env={name: "1"}), 400))["error"]
    assert (error["code"], error["details"]["field"]) == ("VALIDATION_ERROR", "env")
    assert not submitted(world)


async def test_no_list_lets_in_what_takes_a_program_over() -> None:
    world = World(omni=OmniTerms(job_env=("*",)), principal=ANN)
    async with talking(world) as session:
        sandbox = await ready(session)
        for name in NEVER:
            await post(session, asked(sandbox, env={name.replace("*", "X"): "1"}), 400)
        await post(session, asked(sandbox, env={"ANYTHING": "1"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": ""},
        {"input": 7},
        {"taskId": ""},
        {"taskId": "x" * 1025},
        {"userId": ""},
        {"sandboxId": "a.b"},
        {"sandboxId": ">"},
        {"model": "opus"},
        {"model": None},
        {"env": {"OMNI_A": 7}},
        {"env": {"OMNI_A": "x" * 8193}},
        {"env": {"OMNI_A": "a\0b"}},
        {"env": {"OMNI_A": "ghp_" + "a1B2" * 9}},
        {"env": {f"OMNI_{number}": "" for number in range(65)}},
        {"env": ["OMNI_A"]},
        {"taskId": "ghp_" + "a1B2" * 9},
    ],
)
async def test_what_is_wrong_is_refused_before_anything_is_asked(wrong: dict[str, Any]) -> None:
    world = small_world()
    async with talking(world) as session:
        error = (await post(session, asked("sbx-1") | wrong, 400))["error"]
    assert error["code"] == "VALIDATION_ERROR" and not world.sent


@pytest.mark.parametrize("missing", ["input", "sandboxId", "userId", "taskId"])
async def test_what_is_missing_is_named(missing: str) -> None:
    async with talking(small_world()) as session:
        body = asked("sbx-1")
        del body[missing]
        assert (await post(session, body, 400))["error"]["details"]["field"] == missing


@pytest.mark.parametrize(("role", "status"), [(Role.ANONYMOUS, 401), (Role.USER, 403), (Role.APPROVER, 403)])
async def test_only_whoever_may_have_a_sandbox_may_work_in_one(role: Role, status: int) -> None:
    async with talking(small_world(Principal(HOME, "somebody", role))) as session:
        await post(session, asked("sbx-1"), status)


async def test_nobody_works_in_the_sandbox_of_another_caller() -> None:
    world = small_world()
    async with talking(world) as session:
        sandbox = await ready(session)
        world.principal = Principal(HOME, "bob", Role.AGENT)
        assert (await post(session, asked(sandbox), 404))["error"]["code"] == "SANDBOX_NOT_FOUND"
