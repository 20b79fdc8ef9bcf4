"""Agents on NATS and people on REST around one stack as a user starts it, with services killed at the worst moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession

from tests.flows.jobs import facts
from tests.flows.plain_agent import Json, PlainAgent, Refusal, beating, held, plain_agent, text
from tests.flows.test_orchestrator import SECRET, Office, token
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]

LEAVING = "key-of-who-is-to-leave"
SETTINGS = {
    "ORCHESTRATOR_JWT_SECRET": SECRET, "TRUNKLINE_RATE_LIMITS": "off", "TRUNKLINE_LEASE_S": "2",
    "ORCHESTRATOR_API_KEY_BOT": "key-of-the-bot-on-nats:agent", "ORCHESTRATOR_API_KEY_LEAVER": "key-of-who-is-to-leave:agent",
}  # fmt: skip


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with stack(SETTINGS) as running:
        yield Office(running)


def address(running: Stack) -> str:
    kept = json.loads((running.folder / "data" / "nats" / "secrets.json").read_text())
    return f"nats://127.0.0.1:{kept['clients']}"


@asynccontextmanager
async def agent(office: Office, name: str = "dev-agent-1") -> AsyncIterator[PlainAgent]:
    async with plain_agent(address(office.running), "public", name, token=token(name, "agent")) as found:
        yield found


async def until(true: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.05)


async def test_up_says_where_agents_connect(office: Office) -> None:
    await until(lambda: f"Agents connect to {address(office.running)}" in office.running.log())


async def test_what_an_agent_says_is_seen_on_rest_and_what_people_say_is_heard(office: Office) -> None:
    async with agent(office) as bot:
        made = office.agent.task()
        (task,) = await bot.claim()

        def mine() -> list[Json]:
            pending: list[Json] = office.approver.done("GET /approvals/pending")["approvals"]
            return [one for one in pending if one["task_id"] == made["task_id"]]

        async with beating(bot, task):
            await bot.report(task, "started")
            await bot.say(task, "s1", text("the login form lacks a label"))
            asked = await bot.ask("ask", {**held(task), "id": "label", "question": "Which label?"})
            await until(mine)
            (pending,) = await asyncio.to_thread(mine)
            assert pending["kind"] == "input"
            waiting = asyncio.create_task(bot.ask("answer", {**held(task), "id": "label", "wait_s": 15}))
            await asyncio.to_thread(office.approver.done, f"POST /approvals/{pending['approval_id']}/approve", {"answer": "E-mail"})
            answer = await waiting
            said = [answer[word] for word in ("approval_id", "status", "answer", "by")]
            assert said == [asked["approval_id"], "approved", "E-mail", "eve"]
            await bot.ask("approve", {**held(task), "id": "ship", "title": "Ship it?"})
            await until(mine)
            (pending,) = await asyncio.to_thread(mine)
            await asyncio.to_thread(office.approver.done, f"POST /approvals/{pending['approval_id']}/reject?reason=not+today")
            answer = await bot.ask("answer", {**held(task), "id": "ship", "wait_s": 15})
            assert (answer["status"], answer["reason"]) == ("rejected", "not today")
        await bot.report(task, "succeeded", result={"label": "E-mail"})
        await until(lambda: office.agent.read(made["task_id"])["status"] == "completed")
        assert office.agent.read(made["task_id"])["result"]["outcome"] == {"label": "E-mail"}
        told = office.agent.events(made["task_id"])
        assert [each for each in told if each in ("task.in_progress", "agent.output", "approval.requested", "task.completed")] == [
            "task.in_progress", "agent.output", "approval.requested", "approval.requested", "task.completed",
        ]  # fmt: skip


async def test_a_cancel_by_rest_reaches_the_agent(office: Office) -> None:
    async with agent(office) as bot:
        ear = await bot.client.subscribe(f"told.public.{bot.name}.stop")
        made = office.agent.task()
        (task,) = await bot.claim()
        async with beating(bot, task):
            await bot.report(task, "started")
            await asyncio.to_thread(office.agent.done, f"POST /tasks/{made['task_id']}/cancel")
            assert json.loads((await ear.next_msg(10)).data)["lease"] == task["lease"]
        assert await bot.report(task, "stopped") == "cancelled"
        found = await asyncio.to_thread(facts, office.running, made["task_id"].removeprefix("task_"))
        assert [fact.type for fact in found if fact.type.startswith("run.")] == []  # whoever has it says when it has stopped, nobody else


async def test_a_token_revoked_by_rest_is_cut(office: Office) -> None:
    shown = token("leaver", "agent")
    async with plain_agent(address(office.running), "public", "leaver", token=shown, allow_reconnect=False, error_cb=_quiet) as leaver:
        office.person("boss", "admin").done("POST /auth/revoke", {"token": shown})
        began = time.monotonic()
        await until(lambda: not leaver.client.is_connected, 20)
        assert time.monotonic() - began < 5, "two seconds, on a machine with others"


async def test_an_api_key_revoked_by_rest_is_cut_at_every_door_and_comes_in_at_none(office: Office) -> None:
    made, shown = office.agent.task(), {"X-API-Key": LEAVING}
    async with ClientSession(office.running.url, headers=shown) as session, AsyncExitStack() as doors:
        ticket = {"token": await _ticket(session)}
        nats = plain_agent(address(office.running), "public", "leaver", token=LEAVING, allow_reconnect=False, error_cb=_quiet)
        leaver = await doors.enter_async_context(nats)
        told = await doors.enter_async_context(session.get(f"/tasks/{made['task_id']}/events", headers={"Accept": "text/event-stream"}))
        heard = await doors.enter_async_context(session.ws_connect("/v1/realtime/connect", params=ticket))
        assert (told.status, heard.closed) == (200, False)
        office.person("boss", "admin").done("POST /auth/revoke", {"token": LEAVING})
        async with asyncio.timeout(5):  # two seconds, on a machine with others
            await until(lambda: not leaver.client.is_connected, 5)
            with suppress(ClientPayloadError):
                await told.content.read()
            while not heard.closed:
                await heard.receive()
        async with session.get("/tasks", headers={"Accept": "application/json"}) as answer:
            assert (answer.status, await answer.json()) == (401, {"detail": "the API key was revoked; ask for a new one"})
        async with session.get("/v1/realtime/sse", params=ticket) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, "TOKEN_REVOKED")
    office.agent.done(f"POST /tasks/{made['task_id']}/cancel")


async def _ticket(session: ClientSession) -> str:
    async with session.post("/v1/realtime/token", json=[{"channel": "tasks", "name": "update", "kind": "run"}]) as answer:
        assert answer.status == 201
        return str((await answer.json())["jwt"])


async def _quiet(_: Exception) -> None:
    pass


async def test_a_router_killed_between_the_lease_and_its_answer_costs_nothing_but_time(office: Office) -> None:
    async with agent(office) as bot:
        office.running.arm("agent_leased.after_record", "router")
        lost = asyncio.create_task(bot.claim(wait_s=10))
        made = office.agent.task()
        await until(lambda: not office.running.armed("agent_leased.after_record"))
        lost.cancel()
        task = await again(bot)
        assert (task["task_id"], task["attempt"]) == (made["task_id"].replace("-", "").removeprefix("task_"), 1)
        assert await bot.report(task, "succeeded") == "succeeded"


async def again(bot: PlainAgent, seconds: float = 25) -> Json:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            wish = {"pools": ["dev_agent"], "wait_s": 2, "session": bot.session, "holding": bot.holding}
            for task in (await bot.ask("claim", wish, timeout=4))["tasks"]:
                found: Json = task
                return found
        except (TimeoutError, Exception) as error:
            if isinstance(error, Refusal):
                raise
            await asyncio.sleep(0.1)
    raise AssertionError("no task came")


AGENT = """
import asyncio, json, sys
from tests.flows.plain_agent import plain_agent
async def main():
    async with plain_agent(sys.argv[1], "public", "victim", token=sys.argv[2]) as agent:
        (task,) = await agent.claim(wait_s=15)
        await agent.report(task, "started")
        print(json.dumps(task), flush=True)
        while True:
            await agent.beat(task)
            await asyncio.sleep(0.5)
asyncio.run(main())
"""


async def test_a_killed_agent_s_task_is_tried_again_and_what_comes_from_it_later_is_refused(office: Office) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", AGENT, address(office.running), token("victim", "agent")], stdout=subprocess.PIPE, text=True
    )
    try:
        made = office.agent.task(max_retries=1)
        assert victim.stdout is not None
        task = json.loads(await asyncio.to_thread(victim.stdout.readline))
        await asyncio.sleep(2.5)  # longer than a lease: its beats keep it
        os.kill(victim.pid, signal.SIGKILL)
    finally:
        victim.kill()
        victim.wait()
    async with agent(office) as bot, agent(office, "victim") as ghost:
        found = await again(bot)
        assert found["attempt"] == 2
        for late in (ghost.say(task, "late", text("mine")), ghost.report(task, "succeeded")):
            with pytest.raises(Refusal, match="LEASE_LOST"):
                await late
        assert await bot.report(found, "succeeded") == "succeeded"
        assert office.agent.read(made["task_id"])["status"] in ("completed", "in_progress")
