"""The npm packages inngest and @inngest/realtime, as they are, against our gateway: by signing key, in development, and with history.

Only what they name for telemetry and never load here, 290 packages, is left out (`overrides` in their package.json): it took a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.flows.npm import installed
from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.forge import PullRequestEnded
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentOutput, Phase, PhaseBegan, Said
from trunkline.contracts.task import Assignment, TaskStarted, TaskSubmitted, TaskSucceeded
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import free_port, nats_server
from trunkline_gateway.dialects.omni.names import JOB_LABEL, SURFACE, TASK_LABEL
from trunkline_gateway.settings import Settings
from trunkline_gateway.wiring import running

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

CLIENT = Path(__file__).parent / "clients" / "realtime"
HOME = TenantId("public")
KEY = "signkey-test-" + "0123456789abcdef" * 4
TEXT = "It is about trees, \u6728 and \U0001f333."
WHOLE = ["IN_PROGRESS", "log", "log", "log", "result", "done", "DONE", "MERGED"]


@dataclass
class Site:
    """A bus, and two gateways on it: one for development and one that wants the key."""

    bus: Bus
    dev: str
    strict: str
    _seqs: dict[str, int] = field(default_factory=dict)

    async def say(self, task: TaskId, part: str, *facts: Fact) -> None:
        subject = subjects.event(HOME, task, part)
        record = Record(at=now(), facts=facts)
        self._seqs[subject] = await self.bus.log.append(subject, record, expect=self._seqs.get(subject, 0), id=new_id())

    async def ticket(self, **more: Any) -> str:
        body = [{"channel": "tasks", "name": name, "kind": "run", **more} for name in ("update", "status")]
        shown = {"Authorization": f"Bearer {KEY}"}
        async with ClientSession(self.strict, headers=shown) as session, session.post("/v1/realtime/token", json=body) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["jwt"])


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    with nats_server() as server:
        async with AsyncExitStack() as open_at_last:
            urls = []
            for more in ({"dev": True}, {"realtime_signing_key": KEY}):
                settings = Settings.model_validate({"nats_url": server.url, "port": free_port(), **more})
                await open_at_last.enter_async_context(running(settings))
                urls.append(f"http://127.0.0.1:{settings.port}")
            bus = await open_at_last.enter_async_context(connect(BusSettings(nats_url=server.url), "test"))
            yield Site(bus, urls[0], urls[1])


@dataclass
class Subscriber:
    """The program in Node, and what it printed."""

    process: asyncio.subprocess.Process
    said: list[dict[str, Any]] = field(default_factory=list)

    async def until_ready(self, count: int) -> None:
        while sum("ready" in line for line in self.said) < count:
            await self._one()

    async def whole(self) -> list[dict[str, Any]]:
        """Everything, to its end."""
        while await self._one():
            pass
        assert await self.process.wait() == 0, await self._stderr()
        return [line for line in self.said if "name" in line]

    async def _one(self) -> bool:
        assert self.process.stdout
        async with asyncio.timeout(60):
            line = await self.process.stdout.readline()
        if not line and not self.said:
            raise AssertionError(await self._stderr())
        if line:
            self.said.append(json.loads(line))
        return bool(line)

    async def _stderr(self) -> str:
        assert self.process.stderr
        return (await self.process.stderr.read()).decode()[-3000:]


@asynccontextmanager
async def subscriber(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Subscriber]:
    node = shutil.which("node")
    assert node
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "INNGEST_"))}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node, "--experimental-websocket", "subscriber.mjs", cwd=folder, env={**kept, **environment}, stdout=pipe, stderr=pipe
    )  # fmt: skip
    try:
        yield Subscriber(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def kinds(said: list[dict[str, Any]], name: str) -> list[str]:
    mine = [line for line in said if line["name"] == name and "topic" in line]
    return [line["data"]["message"]["type"] if line["topic"] == "update" else line["data"]["status"] for line in mine]


async def job(site: Site, task: TaskId, name: str) -> None:
    """All that is recorded of a job that goes well."""
    assignment = Assignment(prompt="what is in it?", type="knowledge", surface=SURFACE, labels={TASK_LABEL: name, JOB_LABEL: f"job_{name}"})
    await site.say(task, "task", TaskSubmitted(assignment=assignment, submitted_by="ann", deadline_at=now() + timedelta(hours=1)))
    await site.say(task, "task", TaskStarted(attempt=1))
    await site.say(task, "run", PhaseBegan(phase=Phase.AGENT, message="The model can be reached"))
    await site.say(task, "run", AgentOutput(attempt=1, line=1, kind=Said.MESSAGE, display="It is about trees", text=TEXT))
    await site.say(task, "task", TaskSucceeded())


async def test_the_npm_client_hears_a_job_live_and_from_before(site: Site, tmp_path: Path) -> None:
    place = installed(CLIENT, tmp_path)
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "node_modules").symlink_to(place / "node_modules")
    shutil.copy(CLIENT / "subscriber.mjs", folder)
    task = TaskId(new_id())
    await job(site, task, "before")
    ticket = await site.ticket(history=True)
    by_key = {"INNGEST_BASE_URL": site.strict, "INNGEST_SIGNING_KEY": KEY, "HISTORY": ticket}
    async with subscriber(folder, {"INNGEST_DEV": site.dev}) as developer, subscriber(folder, by_key) as backend:
        await developer.until_ready(2)
        await backend.until_ready(3)
        live = TaskId(new_id())
        await job(site, live, "live")
        await site.say(live, "pull", PullRequestEnded(repo="acme/shop", number=1, merged=True, by="ann"))
        heard, told = await developer.whole(), await backend.whole()
    for said, names in ((heard, ("minted", "lazy")), (told, ("minted", "lazy"))):
        for name in names:
            assert kinds(said, name) == WHOLE
    assert kinds(told, "history") == [*WHOLE[:-1], *WHOLE]
    result = next(line for line in heard if line["data"].get("message", {}).get("type") == "result")
    assert result["data"]["taskId"] == "live"
    assert result["data"]["message"] == {
        "type": "result", "format": "text", "data": TEXT, "jobId": "job_live", "ts": result["data"]["message"]["ts"],
    }  # fmt: skip
    assert {name: result[name] for name in ("channel", "topic", "kind", "runId", "fnId", "envId")} == {
        "channel": "tasks", "topic": "update", "kind": "data", "runId": "job_live", "fnId": "process-knowledge", "envId": HOME,
    }  # fmt: skip


async def test_without_the_key_the_npm_client_gets_no_token(site: Site) -> None:
    async with ClientSession(site.strict) as session, session.post("/v1/realtime/token", json=[]) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (401, "AUTH_REQUIRED")


async def test_history_begins_at_the_moment_that_was_asked_for_and_comes_at_its_own_pace_too(site: Site) -> None:
    await job(site, TaskId(new_id()), "early")
    await asyncio.sleep(0.05)
    moment = now()
    await asyncio.sleep(0.05)
    for _ in range(6):
        await job(site, TaskId(new_id()), "late")
    query = {"token": await site.ticket(since=round(moment.timestamp() * 1000))}
    told = []
    for params in (query, {**query, "speed": "2"}):
        async with ClientSession(site.strict) as session, session.ws_connect("/v1/realtime/connect", params=params) as ws:
            async with asyncio.timeout(20):
                told.append([await ws.receive_json() for _ in range(6 * 7)])
    assert {frame["data"]["taskId"] for frame in told[0]} == {"late"}
    assert told[0] == told[1]
    nothing = await site.ticket(since=round((now() + timedelta(days=1)).timestamp() * 1000))
    async with ClientSession(site.strict) as session, session.ws_connect("/v1/realtime/connect", params={"token": nothing}) as ws:
        await job(site, TaskId(new_id()), "after")
        async with asyncio.timeout(20):
            assert (await ws.receive_json())["data"]["taskId"] == "after"
