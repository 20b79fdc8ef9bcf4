"""A program of a user, as a type checker sees it; nothing runs it."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler
from typing import assert_type

from trunkline import AsyncClient, Client
from trunkline.sdk.blocking import List, Stream
from trunkline.sdk.calls import Page
from trunkline.sdk.following import AsyncStream
from trunkline.sdk.models.approvals import Decided
from trunkline.sdk.models.jobs import Accepted, Job, JobEvent, ResultEvent
from trunkline.sdk.models.tasks import Task, TaskCreated, TaskEvent
from trunkline.sdk.models.webhooks import JobDelivery, JobWebhook
from trunkline.sdk.paging import AsyncList
from trunkline.sdk.webhooks import WebhookEvent, verify


def program() -> None:
    with Client("http://gateway", token="a.b.c", timeout=3) as client:
        job = client.jobs.execute("a/b", "x", branch="y", tool_rules=[{"tool": "B", "argument": "*", "then": "ask"}])
        assert_type(job, Accepted)
        assert_type(client.jobs.stream(job.job_id), Stream[JobEvent])
        for event in client.jobs.replay(job.job_id, speed=10):
            if isinstance(event, ResultEvent):
                assert_type(event.result.pr_number, int | None)
        assert_type(client.tasks.list(status=["completed"]), List[Task])
        for task in client.tasks.list(status=["completed"]):
            assert_type(task, Task)
        client.jobs.execute("a/b", "x", wrong="y")  # type: ignore[call-arg]
        client.jobs.execute("a/b")  # type: ignore[call-arg]
        client.jobs.get(1)  # type: ignore[arg-type]


async def other_program() -> None:
    async with AsyncClient() as client:
        assert_type(client.tasks.events("t"), AsyncStream[TaskEvent])
        async for event in client.tasks.events("t"):
            assert_type(event, TaskEvent)
        assert_type(client.jobs.list(), AsyncList[Job])
        assert_type(await client.jobs.list().page(), Page[Job])
        async for job in client.jobs.list():
            assert_type(job, Job)
        assert_type(await client.approvals.approve("a", reason="y"), Decided)
        assert_type(await client.job_webhooks.change("w", enabled=True), JobWebhook)
        assert_type(client.job_webhooks.deliveries("w", status="dead"), AsyncList[JobDelivery])
        made = asyncio.create_task(client.tasks.create("bugfix", {"n": 1}))
        assert_type(await made, TaskCreated)
        await client.jobs.execute("a/b", "x", wrong="y")  # type: ignore[call-arg]
        await client.jobs.execute("a/b")  # type: ignore[call-arg]
        await client.jobs.get(1)  # type: ignore[arg-type]


def receiver(request: BaseHTTPRequestHandler, headers: dict[str, str], body: bytes) -> None:
    assert_type(verify(body, headers, "secret"), WebhookEvent)
    verify(body, request.headers, ["one", "other"])
    verify(body, ["webhook-id"], "secret")  # type: ignore[arg-type]
