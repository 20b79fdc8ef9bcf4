"""A program of a user, as a type checker sees it; nothing runs it."""

from __future__ import annotations

import asyncio
from typing import assert_type

from trunkline import AsyncClient, Client
from trunkline.sdk.blocking import Stream
from trunkline.sdk.models.approvals import Decided
from trunkline.sdk.models.jobs import Accepted, JobEvent, ResultEvent
from trunkline.sdk.models.tasks import Task, TaskCreated, TaskEvent


def program() -> None:
    with Client("http://gateway", token="a.b.c", timeout=3) as client:
        job = client.jobs.execute("a/b", "x", branch="y", tool_rules=[{"tool": "B", "argument": "*", "then": "ask"}])
        assert_type(job, Accepted)
        assert_type(client.jobs.stream(job.job_id), Stream[JobEvent])
        for event in client.jobs.replay(job.job_id, speed=10):
            if isinstance(event, ResultEvent):
                assert_type(event.result.pr_number, int | None)
        for task in client.tasks.list(status=["completed"]):
            assert_type(task, Task)
        client.jobs.execute("a/b", "x", wrong="y")  # type: ignore[call-arg]
        client.jobs.execute("a/b")  # type: ignore[call-arg]
        client.jobs.get(1)  # type: ignore[arg-type]


async def other_program() -> None:
    async with AsyncClient() as client:
        async for event in client.tasks.events("t"):
            assert_type(event, TaskEvent)
        assert_type(await client.approvals.approve("a", reason="y"), Decided)
        made = asyncio.create_task(client.tasks.create("bugfix", {"n": 1}))
        assert_type(await made, TaskCreated)
