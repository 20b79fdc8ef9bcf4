"""Tasks at the orchestrator's surface: asked for, read, listed, reported on and cancelled."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.dialects.orchestrator.asking import ADMIN, AGENT, USER, calling, routes, working
from tests.dialects.world import BEGAN, World
from trunkline.auth.principal import Principal, Role
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import Assignment, Executor, ReportTask, SubmitTask, Submitted, TaskSlaBreached, TaskStatus
from trunkline_gateway.dialects.orchestrator import encode
from trunkline_gateway.openapi import paths

DOCUMENT = {
    "type": "bugfix",
    "payload": {"issue": "123", "description": "Fix login bug", "priority": "high"},
    "priority": "P1",
    "source": "github",
    "sla_target": 3600,
    "metadata": {"repo": "morningai", "branch": "main"},
}


async def test_the_task_of_the_document_is_assigned_and_held() -> None:
    world = working()
    async with calling(world) as caller:
        said = (await caller.ask("POST /tasks", DOCUMENT)).body
    task = said["task"]
    assert said["message"] == "Task created and assigned to dev_agent"
    assert (task["status"], task["assigned_agent"], task["assigned_to"], task["priority"]) == ("assigned", "dev_agent", "dev_agent", "P1")
    assert (said["requires_approval"], said["approval_id"], said["approval_status"]) == (True, f"approval_{said['task_id'][5:]}", "pending")
    assert task["sla"] == {"target": 3600, "deadline": "2025-01-12T11:00:00.000Z", "breached": False}
    assert (task["payload"], task["metadata"], task["source"]) == (DOCUMENT["payload"], DOCUMENT["metadata"], "github")
    assert (task["created_by"], task["retry_count"], task["max_retries"]) == ("dev-agent-1", 0, 0)
    assert task["trace_id"].startswith("trace_")


async def test_what_is_answered_at_once_is_what_is_read_later() -> None:
    world = working()
    async with calling(world) as caller:
        some = {"sla_target": "90", "trace_id": "t-1", "max_retries": 3, "type": "kb_update"}
        for fields in ({}, {"priority": "P0"}, some, {"delay": 60}, {"delay": 60, "priority": "P0"}):
            made = await caller.task(**fields)
            read = (await caller.ask(f"GET /tasks/{made['task_id']}")).body
            assert read["task"] == made["task"]


async def test_a_task_for_later_that_must_be_allowed_says_so_from_the_start_and_is_asked_about_when_its_moment_comes() -> None:
    async with calling(working()) as caller:
        made = await caller.task(priority="P1", delay=60)
        told = (await caller.ask(f"GET /tasks/{made['task_id']}/events?after=")).body["events"]
        free = await caller.task(delay=60)
    for said in (made, made["task"]):
        assert (said["requires_approval"], said["approval_id"], said["approval_status"]) == (True, f"approval_{made['task_id'][5:]}", None)
    assert made["message"].endswith("from 2025-01-12T10:01:00.000Z on, if somebody allows it then")
    assert told[-1]["payload"] == {"start_at": "2025-01-12T10:01:00.000Z", "requires_approval": True}
    assert ("requires_approval" in free, free["task"]["requires_approval"], free["task"]["approval_id"]) == (False, False, None)


@pytest.mark.parametrize("status", ["in_progress", "completed", "failed"])
async def test_nothing_is_reported_of_a_task_before_it_may_begin(status: str) -> None:
    async with calling(working()) as caller:
        id = (await caller.task(delay=60))["task_id"]
        answer = await caller.ask(f"PATCH /tasks/{id}/status?status={status}")
        assert (answer.status, "start_at" in answer.detail) == (409, True)
        assert (await caller.ask(f"GET /tasks/{id}")).body["task"]["status"] == "pending"


@pytest.mark.parametrize(
    ("spelling", "pool"), [("deploy", "ops_agent"), ("faq", "faq_agent"), ("investigate", "ops_agent"), ("refactor", "dev_agent")]
)
async def test_the_older_words_are_taken_and_kept(spelling: str, pool: str) -> None:
    async with calling(working()) as caller:
        task = (await caller.task(type=spelling))["task"]
    assert (task["type"], task["assigned_agent"]) == (spelling, pool)


async def test_a_task_goes_from_assigned_to_completed() -> None:
    async with calling(working()) as caller:
        id = (await caller.task())["task_id"]
        for status in ("in_progress", "in_progress", "completed", "completed"):
            moved = await caller.ask(f"PATCH /tasks/{id}/status?status={status}")
            assert (moved.status, moved.body) == (200, {"success": True, "task_id": id, "status": status})
        task = (await caller.ask(f"GET /tasks/{id}")).body["task"]
        assert task["status"] == "completed"
        assert task["created_at"] < task["started_at"] <= task["completed_at"]
        back = await caller.ask(f"PATCH /tasks/{id}/status?status=in_progress")
        assert back.status == 409


async def test_repeating_a_status_writes_nothing() -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task())["task_id"]
        await caller.ask(f"PATCH /tasks/{id}/status?status=in_progress")
        before = len(world.events)
        assert (await caller.ask(f"PATCH /tasks/{id}/status?status=in_progress")).status == 200
    assert len(world.events) == before


async def test_a_failure_without_a_reason_gets_one() -> None:
    async with calling(working()) as caller:
        first, second = (await caller.task())["task_id"], (await caller.task())["task_id"]
        await caller.ask(f"PATCH /tasks/{first}/status?status=failed")
        await caller.ask(f"PATCH /tasks/{second}/status", {"status": "failed", "error": "no disk"})
        errors = [(await caller.ask(f"GET /tasks/{id}")).body["task"]["error"] for id in (first, second)]
    assert errors == ["Unknown error", "no disk"]


async def test_a_failure_is_tried_again_as_often_as_was_asked() -> None:
    async with calling(working()) as caller:
        id = (await caller.task(max_retries=1))["task_id"]
        await caller.ask(f"PATCH /tasks/{id}/status?status=failed&error=x")
        task = (await caller.ask(f"GET /tasks/{id}")).body["task"]
    assert (task["status"], task["max_retries"]) == ("pending", 1)


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", {"status": "completed"}, 200),
        ("?status=completed", {"status": "completed"}, 200),
        ("?status=completed", {"status": "failed"}, 400),
        ("?status=failed&error=a", {"error": "b"}, 400),
        ("?status=completed&status=failed", None, 400),
        ("", None, 422),
        ("?status=", None, 400),
        ("?status=done", None, 400),
        ("?status=assigned", None, 400),
        ("", {"status": 1}, 422),
        ("", {"status": "done"}, 400),
        ("?status=failed&error=" + "x" * 4097, None, 400),
        ("?status=failed&error=a%00b", None, 400),
        ("?status=completed&error=", None, 200),
        ("?status=completed&error=oops", None, 400),
        ("?status=in_progress", {"error": "oops"}, 400),
    ],
)
async def test_query_and_body_say_one_status(query: str, body: object, status: int) -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task())["task_id"]
        assert (await caller.ask(f"PATCH /tasks/{id}/status{query}", body)).status == status
    assert any(isinstance(command, ReportTask) for command in world.sent) is (status == 200)


async def test_a_held_task_cannot_begin() -> None:
    async with calling(working()) as caller:
        id = (await caller.task(priority="P0"))["task_id"]
        answer = await caller.ask(f"PATCH /tasks/{id}/status?status=in_progress")
        assert (answer.status, "approval" in answer.detail) == (409, True)
        assert (await caller.ask(f"GET /tasks/{id}")).body["task"]["status"] == "assigned"


async def test_a_task_is_cancelled_with_its_reason() -> None:
    async with calling(working()) as caller:
        id = (await caller.task())["task_id"]
        answer = await caller.ask(f"POST /tasks/{id}/cancel", {"reason": "changed my mind"})
        assert (answer.status, answer.body["status"], answer.body["task"]["error"]) == (200, "cancelled", "changed my mind")
        other = (await caller.task())["task_id"]
        await caller.ask(f"PATCH /tasks/{other}/status?status=completed")
        assert (await caller.ask(f"POST /tasks/{other}/cancel")).status == 409


async def test_a_task_is_found_by_every_spelling_of_its_id() -> None:
    async with calling(working()) as caller:
        id = (await caller.task())["task_id"]
        plain = id.removeprefix("task_")
        dashed = "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
        for name in (id, plain, dashed, f"task_{dashed}", plain.upper()):
            assert (await caller.ask(f"GET /tasks/{name}")).body["task_id"] == id


@pytest.mark.parametrize("id", ["task_abc123", "abc", "task_", f"task_{'0' * 32}", "0" * 31, "%20", f"TASK_{'0' * 32}", "task_%0A0"])
async def test_what_is_no_task_is_not_found_everywhere(id: str) -> None:
    async with calling(working()) as caller:
        answers = [
            await caller.ask(f"GET /tasks/{id}"),
            await caller.ask(f"PATCH /tasks/{id}/status?status=completed"),
            await caller.ask(f"GET /tasks/{id}/events"),
            await caller.ask(f"POST /tasks/{id}/cancel"),
        ]
    assert {(answer.status, answer.detail) for answer in answers} == {(404, "there is no such task")}


async def test_another_tenants_task_is_answered_as_one_that_never_was() -> None:
    world = working()
    async with calling(world) as caller:
        made = await caller.task(priority="P0", trace_id="canary")
        id, approval = made["task_id"], made["approval_id"]
        asked = (
            f"GET /tasks/{id}", f"GET /tasks/{id}/events", f"PATCH /tasks/{id}/status?status=completed", f"POST /tasks/{id}/cancel",
            f"GET /approvals/{approval}", f"POST /approvals/{approval}/approve", "GET /traces/canary",
        )  # fmt: skip
        world.principal = Principal(TenantId("other"), "mallory", Role.ADMIN)
        foreign = [await caller.ask(what) for what in asked]
        missing = [await caller.ask(what.replace(id[5:], "f" * 32).replace("canary", "none")) for what in asked]
        assert foreign == missing
        assert {answer.status for answer in foreign} == {404}
        child = await caller.ask("POST /tasks", {"type": "bugfix", "payload": {}, "parent_task_id": id})
        event = await caller.ask("POST /events/publish", {"event_type": "a.b", "source_agent": "x", "task_id": id})
        assert (child.status, event.status) == (404, 404)
        for path in ("/tasks", "/approvals/pending", "/approvals/history"):
            assert (await caller.ask(f"GET {path}")).body["total"] == 0


async def test_a_task_knows_its_parent() -> None:
    world = working()
    async with calling(world) as caller:
        parent = (await caller.task())["task_id"]
        by_field = (await caller.task(parent_task_id=parent))["task"]
        by_metadata = (await caller.task(metadata={"parent_task_id": parent}))["task"]
        assert by_field["parent_task_id"] == by_metadata["parent_task_id"] == parent
        listed = (await caller.ask(f"GET /tasks?parent_task_id={parent}")).body
        assert listed["total"] == 2
        lost = await caller.ask("POST /tasks", {"type": "bugfix", "payload": {}, "parent_task_id": "task_x"})
        assert (lost.status, lost.detail) == (404, "parent_task_id names no task")


async def test_a_promise_that_was_broken_is_told() -> None:
    world = working()
    async with calling(world) as caller:
        id = (await caller.task(sla_deadline=(BEGAN + timedelta(minutes=1)).isoformat()))["task_id"]
        await world.say(id.removeprefix("task_"), TaskSlaBreached(due_at=BEGAN))
        task = (await caller.ask(f"GET /tasks/{id}")).body["task"]
    assert task["sla"] == {"target": 60, "deadline": "2025-01-12T10:01:00.000Z", "breached": True}


async def test_an_agent_of_ours_gets_repository_branch_and_words() -> None:
    world = working()
    async with calling(world) as caller:
        await caller.task(payload={"description": "Fix it", "repo": "acme/shop"}, metadata={"branch": "dev"})
        await caller.task(payload={"issue": 1}, metadata={"repo": "acme/shop"})
        await caller.task(payload={"description": "Fix it"}, metadata={"repo": "morningai", "branch": "no branch"})
    sent = [command.assignment for command in world.sent if isinstance(command, SubmitTask)]
    assert [(one.repo, one.branch, one.prompt) for one in sent] == [
        ("acme/shop", "dev", "Fix it"), ("acme/shop", "main", '{"issue":1}'), ("", "main", ""),
    ]  # fmt: skip


async def test_lists_filter_sort_and_go_on_where_the_cursor_says() -> None:
    world = working()
    async with calling(world) as caller:
        made = [
            (await caller.task(priority=priority, type=kind))["task_id"] for priority in ("P3", "P2") for kind in ("bugfix", "incident")
        ]
        world.principal = ADMIN
        await caller.task(source="github", trace_id="t-1")

        async def ids(query: str) -> list[str]:
            return [task["task_id"] for task in (await caller.ask(f"GET /tasks?{query}")).body["tasks"]]

        assert await ids("sort=created_at&created_by=dev-agent-1") == made
        assert await ids("type=incident,deployment&assigned_to=ops_agent&sort=created_at") == [made[1], made[3]]
        assert (await ids("sort=priority"))[:2] == made[2:]
        assert len(await ids("source=github&trace_id=t-1&status=assigned,pending&priority=P2")) == 1
        assert await ids("created_before=2025-01-12T10:00:00Z") == []
        pages, cursor = [], ""
        while cursor is not None:
            page = (await caller.ask(f"GET /tasks?limit=2&cursor={cursor}")).body
            assert (page["total"], page["count"]) == (5, len(page["tasks"]))
            pages += [task["task_id"] for task in page["tasks"]]
            cursor = page["next_cursor"]
        assert pages == await ids("")
        assert len(pages) == len(set(pages)) == 5


async def test_a_cursor_holds_for_its_list_and_its_owner_only() -> None:
    world = working()
    async with calling(world) as caller:
        for _ in range(3):
            await caller.task()
        cursor = (await caller.ask("GET /tasks?limit=1")).body["next_cursor"]
        asked = [
            f"?cursor={cursor}&priority=P2", f"?cursor={cursor}&sort=created_at", f"?cursor={cursor[:-2]}AA", f"?cursor={cursor}=",
            "?cursor=x", "?cursor=MQ", f"?cursor={'a' * 1025}",
        ]  # fmt: skip
        assert [(await caller.ask(f"GET /tasks{query}")).status for query in asked] == [400] * len(asked)
        assert (await caller.ask(f"GET /approvals/history?cursor={cursor}")).status == 400
        world.principal = Principal(TenantId("other"), "mallory", Role.ADMIN)
        assert (await caller.ask(f"GET /tasks?cursor={cursor}")).status == 400
        world.principal = USER
        assert (await caller.ask(f"GET /tasks?cursor={cursor}&limit=2")).status == 200


BAD_LISTS: dict[str, int] = {
    "limit=0": 400, "limit=-1": 400, "limit=1000000000": 400, "limit=101": 400, "limit=x": 422, "limit=1.5": 422,
    "limit=5_0": 422, "limit=%205": 422, "limit=1.0": 422, "limit=%2B5": 422, "limit=": 422,
    "statsu=failed": 422, "status=done": 400, "status=": 400, "priority=P4": 400, "sort=name": 400, "created_after=yesterday": 400,
    "created_after=9999-12-31T23:59:59-23:00": 400, "source=mars": 400, "parent_task_id=x": 400, "trace_id=%20": 400,
    "assigned_to=a&assigned_agent=b": 400, "limit=1&limit=2": 400, f"created_by={'x' * 129}": 400, f"limit={'9' * 5000}": 400,
}  # fmt: skip


@pytest.mark.parametrize("query", BAD_LISTS, ids=lambda query: str(query)[:30])
async def test_a_list_that_makes_no_sense_is_refused(query: str) -> None:
    async with calling(working()) as caller:
        answer = await caller.ask(f"GET /tasks?{query}")
    assert answer.status == BAD_LISTS[query], answer
    assert query.partition("=")[0] in answer.detail or "assigned_agent" in answer.detail


BAD_TASKS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no type": ({"payload": {}}, 422, "type is required"),
    "no payload": ({"type": "bugfix"}, 422, "payload is required"),
    "type is a number": ({"type": 5}, 422, "type: "),
    "type is empty": ({"type": ""}, 400, "type: "),
    "type is unknown": ({"type": "nonsense"}, 400, ""),
    "payload is text": ({"payload": "x"}, 422, "payload: "),
    "payload is null": ({"payload": None}, 422, "payload: "),
    "priority is unknown": ({"priority": "P9"}, 400, "priority: "),
    "priority is small": ({"priority": "p1"}, 400, "priority: "),
    "priority is a number": ({"priority": 1}, 422, "priority: "),
    "source is unknown": ({"source": "mars"}, 400, "source: "),
    "sla is zero": ({"sla_target": 0}, 400, "sla_target: "),
    "sla is negative": ({"sla_target": -1}, 400, "sla_target: "),
    "sla is a billion": ({"sla_target": 10**9}, 400, "sla_target: "),
    "sla is words": ({"sla_target": "soon"}, 400, "sla_target: "),
    "sla is a billion in text": ({"sla_target": "99999999"}, 400, "sla_target "),
    "sla is zero in text": ({"sla_target": "0"}, 400, "sla_target "),
    "sla is a list": ({"sla_target": []}, 422, "sla_target: "),
    "sla is half": ({"sla_target": 1.5}, 422, "sla_target: "),
    "sla is true": ({"sla_target": True}, 422, "sla_target: "),
    "start is past": ({"start_at": "2025-01-12T09:58:59Z"}, 400, "start_at "),
    "deadline is past": ({"sla_deadline": "2025-01-12T09:59:59Z"}, 400, "sla_deadline "),
    "deadline a day of skew ago": ({"sla_deadline": "2025-01-11T10:00:00Z"}, 400, "sla_deadline "),
    "deadline is no time": ({"sla_deadline": "soon"}, 400, "sla_deadline "),
    "deadline is another than promised": (
        {"sla_target": 60, "sla_deadline": "2025-01-12T11:00:00Z"},
        400,
        "sla_target and sla_deadline contradict",
    ),
    "deadline beside a promise is no time": ({"sla_target": 60, "sla_deadline": "soon"}, 400, "sla_deadline "),
    "deadline in two years": ({"sla_deadline": "2027-01-12T10:00:00Z"}, 400, "sla_deadline "),
    "metadata is a list": ({"metadata": []}, 422, "metadata: "),
    "trace is a number": ({"metadata": {"trace_id": 5}}, 422, "metadata.trace_id: "),
    "trace is too long": ({"trace_id": "x" * 129}, 400, "trace_id: "),
    "retries are many": ({"max_retries": 11}, 400, "max_retries: "),
    "retries are negative": ({"metadata": {"max_retries": -1}}, 400, "metadata.max_retries: "),
    "branch of a repository is none": ({"metadata": {"repo": "o/n", "branch": "--x"}}, 400, "metadata.branch "),
    "words are endless": ({"payload": {"repo": "o/n", "prompt": "x" * 140_000}}, 400, "payload "),
}


@pytest.mark.parametrize("name", BAD_TASKS)
async def test_a_task_that_makes_no_sense_is_refused_and_nothing_is_sent(name: str) -> None:
    fields, status, begins = BAD_TASKS[name]
    base: dict[str, Any] = {"type": "bugfix", "payload": {}}
    body = fields if name.startswith("no ") else base | fields
    world = working()
    async with calling(world) as caller:
        answer = await caller.ask("POST /tasks", body)
    assert (answer.status, answer.detail[: len(begins)]) == (status, begins), answer
    assert "x" * 20 not in answer.detail
    assert world.events == []


async def test_nothing_may_be_null_that_may_be_left_out() -> None:
    async with calling(working()) as caller:
        nulls = dict.fromkeys(("priority", "source", "sla_target", "metadata", "trace_id", "parent_task_id", "max_retries", "sla_deadline"))
        task = (await caller.task(**nulls))["task"]
    assert (task["priority"], task["source"], task["status"]) == ("P2", "user", "assigned")


async def test_what_a_sender_calls_itself_is_kept_as_a_label_and_changes_nothing() -> None:
    async with calling(working()) as caller:
        made = (await caller.task(source_agent="ghost", userId="root", created_by="me"))["task"]
    assert made["labels"] == {"source_agent": "ghost", "user_id": "root", "created_by": "me"}
    assert made["created_by"] == AGENT.subject


def test_what_a_task_was_made_of_is_shown_and_what_other_surfaces_keep_is_not() -> None:
    ours = {"schedule": "sch_1", "requeued_from": "task.1"}
    asked = Assignment(type="bugfix", labels={**ours, "fingerprint": "secret"})
    told = Submitted(task_id="1" * 32, pool="dev", executor=Executor.BUS, status=TaskStatus.ASSIGNED, submitted_at=BEGAN)
    task = encode.created(told, asked, AGENT)["task"]
    assert isinstance(task, dict) and task["labels"] == ours


UNKNOWN: dict[str, tuple[str, dict[str, Any], str]] = {
    "of a task": ("POST /tasks", {"type": "bugfix", "payload": {}, "sla": 60}, "this request has no field sla"),
    "that would be a right": ("POST /tasks", {"type": "bugfix", "payload": {}, "role": "admin"}, "this request has no field role"),
    "that is no word": ("POST /tasks", {"type": "bugfix", "payload": {}, "<b>": 1}, "this request holds a field that it does not have"),
    "of an event": ("POST /events/publish", {"event_type": "a.b", "source_agent": "a", "event": 1}, "this request has no field event"),
    "of a decision": (f"POST /approvals/approval_{'0' * 32}/reject", {"raeson": "no"}, "this request has no field raeson"),
    "of a report": (f"PATCH /tasks/task_{'0' * 32}/status", {"state": "failed"}, "this request has no field state"),
    "of the query of a decision": (f"POST /approvals/approval_{'0' * 32}/reject?raeson=no", {}, "this request has no field raeson"),
    "of the query of a report": (f"PATCH /tasks/task_{'0' * 32}/status?status=failed&eror=no", {}, "this request has no field eror"),
    "of a cancel": (f"POST /tasks/task_{'0' * 32}/cancel", {"because": "no"}, "this request has no field because"),
}


@pytest.mark.parametrize("name", UNKNOWN)
async def test_an_unknown_field_is_refused_and_nothing_is_sent(name: str) -> None:
    request, body, said = UNKNOWN[name]
    world = working()
    async with calling(world) as caller:
        answer = await caller.ask(request, body)
    assert (answer.status, answer.detail) == (422, said)
    assert world.events == []


LOOKS_AT_NONE = {"GET /", "GET /health", "GET /stats", "GET /approvals/pending", "GET /approvals/history"}
"""Where monitors and browsers add words of their own, and the lists that the document has."""


async def test_no_route_lets_a_name_in_the_query_pass_that_it_does_not_know() -> None:
    told: dict[str, tuple[int, str]] = {}
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        for route in routes():
            line = f"{route.method} {paths.plain(route.path)}"
            answer = await caller.ask(re.sub(r"\{\w+\}", "x", line) + "?zzz=1", None if route.method == "GET" else {})
            told[line] = answer.status, str(answer.body.get("detail"))
            assert line in LOOKS_AT_NONE or 422 in route.spec.refusals, f"{line} does not say that it refuses"
    refusal = (422, "this request has no field zzz")
    assert {line for line, answer in told.items() if answer != refusal} == LOOKS_AT_NONE
    assert world.events == []


@pytest.mark.parametrize("query", ["after=", "lastEventId=", "from=&limit=1", ""])
async def test_the_names_that_the_feed_knows_are_taken(query: str) -> None:
    async with calling(working()) as caller:
        id = (await caller.task())["task_id"]
        await caller.ask(f"POST /tasks/{id}/cancel")
        async with caller.session.get(f"/tasks/{id}/events?{query}") as response:
            assert response.status == 200


IN_WORDS = {
    "GET /tasks?status=done": "status: must be one or more of pending, assigned, in_progress, completed, failed and cancelled",
    "GET /tasks?priority=P9": "priority: must be one or more of P0, P1, P2 and P3",
    "GET /tasks?parent_task_id=7": "parent_task_id: must be the id of a task, such as task_",
    "GET /tasks?trace_id=a%20b": "trace_id: must be 1 to 128 letters, digits",
}


@pytest.mark.parametrize("request_line", IN_WORDS)
async def test_what_a_text_must_look_like_is_said_in_words_and_not_as_a_pattern(request_line: str) -> None:
    async with calling(working()) as caller:
        answer = await caller.ask(request_line)
    assert answer.status == 400 and answer.detail.startswith(IN_WORDS[request_line]), answer


@pytest.mark.parametrize("role", list(Role))
async def test_only_those_who_work_may_ask_for_tasks(role: Role) -> None:
    world = working()
    world.principal = Principal(AGENT.tenant, "somebody", role)
    async with calling(world) as caller:
        status = (await caller.ask("POST /tasks", {"type": "bugfix", "payload": {}})).status if role is not Role.ANONYMOUS else 403
    assert status == (200 if role in (Role.AGENT, Role.ADMIN) else 403)
