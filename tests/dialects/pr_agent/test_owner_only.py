"""A job on a private repository that a guest sent is its own: on every way in it is as missing for all others but an admin of the house."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.dialects.pr_agent.guests import SECRET, Place, place
from tests.unit.gateway.test_kept import claimed, cloned, snapshot
from trunkline.auth import timeline_links
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.approval import ApprovalPolicy, ApprovalRequested
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import SubmitTask, TaskSucceeded, Visibility
from trunkline.contracts.webhook import DeliveryStatus, DeliveryView

MISSING = "0194589f6d007000800000000000dead"
CALL, SENT = "call1", "dlv_" + "5" * 40
OURS = {role.value: Principal(HOME, f"our-{role}", role) for role in (Role.USER, Role.AGENT, Role.APPROVER, Role.ADMIN)}
TEXT = {"text": "and then"}
WAYS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "job": ("GET", "/api/pr-agent/{id}", None),
    "stream": ("GET", "/api/pr-agent/{id}/stream", None),
    "watch": ("GET", "/api/pr-agent/{id}/watch", None),
    "replay": ("GET", "/api/pr-agent/{id}/replay?speed=100", None),
    "task": ("GET", "/tasks/task_{id}", None),
    "page of events": ("GET", "/tasks/task_{id}/events?limit=5", None),
    "events": ("GET", "/tasks/task_{id}/events", None),
    "messages": ("GET", "/tasks/task_{id}/messages", None),
    "approval": ("GET", "/approvals/approval_{id}_" + CALL, None),
    "timeline without its link": ("GET", "/timeline/public/{id}/AAAAAAAAAAAAAAAAAAAAAA", None),
    "report": ("PATCH", "/tasks/task_{id}/status", {"status": "in_progress"}),
    "say": ("POST", "/tasks/task_{id}/messages", TEXT),
    "edit": ("PATCH", "/tasks/task_{id}/messages/" + "0" * 32, TEXT),
    "withdraw": ("DELETE", "/tasks/task_{id}/messages/" + "0" * 32, None),
    "reorder": ("PUT", "/tasks/task_{id}/messages/order", {"message_ids": []}),
    "interrupt": ("POST", "/tasks/task_{id}/interrupt", {}),
    "pause": ("POST", "/tasks/task_{id}/pause", {}),
    "resume": ("POST", "/tasks/task_{id}/resume", {}),
    "publish": ("POST", "/events/publish", {"event_type": "note.made", "source_agent": "x", "task_id": "task_{id}", "payload": {}}),
    "child": ("POST", "/tasks", {"type": "bugfix", "payload": {}, "parent_task_id": "task_{id}"}),
    "continue": ("POST", "/tasks/task_{id}/continue", TEXT),
    "fork": ("POST", "/tasks/task_{id}/fork", TEXT),
    "approve": ("POST", "/approvals/approval_{id}_" + CALL + "/approve", None),
    "reject": ("POST", "/approvals/approval_{id}_" + CALL + "/reject", None),
    "cancel by the task": ("POST", "/tasks/task_{id}/cancel", None),
    "cancel": ("POST", "/api/pr-agent/{id}/cancel", None),
}
DECIDES = {"approval", "approve", "reject"}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path) as made:
        yield made


async def a_private_job(hub: Place, who: str = "ann") -> str:
    """With something that waits for a decision."""
    job = (await hub.job(who, SECRET)).replace("-", "")
    asked = ApprovalRequested(
        approval_id=CALL, kind="tool_call", subject="rm -r build", digest="d" * 64, requested_by="run", policy=ApprovalPolicy()
    )
    await hub.world.say(job, asked, part=f"approval-{CALL}")
    return job


async def answer(hub: Place, way: str, job: str, who: str) -> tuple[int, str]:
    """Its id written as `ID`."""
    method, path, body = WAYS[way]
    sent = {key: value.replace("{id}", job) if isinstance(value, str) else value for key, value in body.items()} if body else body
    status, text = await asked(hub, method, path.replace("{id}", job), who, sent)
    return status, text.replace(f"{job[:8]}-{job[8:12]}-{job[12:16]}-{job[16:20]}-{job[20:]}", "ID").replace(job, "ID")


async def asked(
    hub: Place, method: str, path: str, who: str, body: dict[str, Any] | None = None, more: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, str]:
    """A stream counts as an answer without a text: one of a job that is not over has no end."""
    hub.world.principal = OURS.get(who, ANONYMOUS)
    headers = {"Authorization": f"Bearer {hub.tokens[who]}"} if who in hub.tokens else {}
    async with hub.session.request(method, path, json=body, headers={**headers, **more}) as said:
        return said.status, "" if said.content_type == "text/event-stream" else await said.text()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", ["user", "agent", "approver", "bob", ""])
async def test_whoever_did_not_send_it_finds_nothing(hub: Place, way: str, who: str) -> None:
    job = await a_private_job(hub)
    there, gone = await answer(hub, way, job, who), await answer(hub, way, MISSING, who)
    if way in DECIDES and who == "approver":
        assert there[0] == 200, "what the rules ask of people, people must be able to decide"
        return
    assert there == gone
    assert there[0] in (401, 403, 404)


@pytest.mark.parametrize("way", WAYS)
async def test_an_admin_of_the_house_finds_it(hub: Place, way: str) -> None:
    job = await a_private_job(hub)
    expected = {404} if way == "timeline without its link" else {200, 202, 409}
    if way in ("edit", "withdraw"):
        expected = {404}
        assert (await answer(hub, way, job, "admin"))[1] != (await answer(hub, way, MISSING, "admin"))[1]
    assert (await answer(hub, way, job, "admin"))[0] in expected


@pytest.mark.parametrize("way", ["job", "stream", "watch", "replay", "cancel"])
async def test_whoever_sent_it_finds_it(hub: Place, way: str) -> None:
    job = await a_private_job(hub)
    assert (await answer(hub, way, job, "ann"))[0] in (200, 202)


@pytest.mark.parametrize(("who", "found"), [("user", 0), ("agent", 0), ("approver", 0), ("admin", 1)])
async def test_lists_and_their_counts_leave_it_out(hub: Place, who: str, found: int) -> None:
    await a_private_job(hub)
    for path in ("/tasks", "/tasks?status=pending", "/tasks?limit=1"):
        status, said = await asked(hub, "GET", path, who)
        assert (status, said.count('"task_id"')) == (200, found)
        assert f'"total":{found}' in said.replace(" ", "")


@pytest.mark.parametrize(("who", "found"), [("user", 0), ("agent", 0), ("approver", 1), ("admin", 1)])
async def test_what_waits_for_a_decision_is_listed_for_those_who_decide(hub: Place, who: str, found: int) -> None:
    await a_private_job(hub)
    status, said = await asked(hub, "GET", "/approvals/pending", who)
    assert (status, said.count("rm -r build") > 0) == (200, bool(found))
    assert f'"total":{found}' in said.replace(" ", "")


async def test_traces_leave_it_out(hub: Place) -> None:
    job = await a_private_job(hub)
    body = {"event_type": "note.made", "source_agent": "x", "task_id": f"task_{job}", "payload": {}, "trace_id": "t1"}
    assert (await asked(hub, "POST", "/events/publish", "admin", body))[0] == 200
    assert (await asked(hub, "GET", "/traces/t1", "user"))[0] == 404
    assert (await asked(hub, "GET", "/traces/t1", "admin"))[0] == 200


@pytest.mark.parametrize("onward", ["continue", "fork"])
async def test_what_an_admin_makes_of_it_is_as_private(hub: Place, onward: str) -> None:
    job = await a_private_job(hub)
    await hub.world.say(job, claimed(), cloned("p"), snapshot("one"))
    await hub.world.say(job, TaskSucceeded())
    token = {"X-GitHub-Token": hub.tokens["bob"]}
    assert (await asked(hub, "POST", f"/tasks/task_{job}/{onward}", "admin", TEXT, token))[0] == 200
    made = [command for command in hub.world.sent if isinstance(command, SubmitTask)]
    assert (made[-1].submitted_by, made[-1].assignment.visibility) == ("our-admin", Visibility.OWNER)
    assert (await answer(hub, "task", made[-1].task_id, "user"))[0] == 404


async def test_whoever_holds_the_link_that_stands_in_the_pull_request_may_look(hub: Place) -> None:
    job = await a_private_job(hub)
    link = timeline_links.path(b"s" * 32, HOME, TaskId(job))
    assert (await asked(hub, "GET", link, ""))[0] == 200


@pytest.mark.parametrize(("who", "found"), [("agent", 0), ("admin", 1)])
async def test_what_webhooks_of_the_house_were_told_of_it_only_admins_read(hub: Place, who: str, found: int) -> None:
    job, at = await a_private_job(hub), hub.world.now()
    body = {"url": "https://example.com/hook", "events": ["*"]}
    assert (await asked(hub, "POST", "/webhooks", "agent", body))[0] == 403, "a webhook that hears of everything is an admin's"
    assert (await asked(hub, "POST", "/webhooks", "admin", body))[0] == 201
    (hook,) = hub.world.hooks.hooks
    sent = DeliveryView(
        status=DeliveryStatus.DELIVERED, id=SENT, hook_id=hook, tenant=HOME, type="task.created", event="k3v9-1", task_id=job,
        body="acme/vault", created_at=at, begun_at=at,
    )  # fmt: skip
    hub.world.hooks.deliveries.append(sent)
    status, said = await asked(hub, "GET", f"/webhooks/{hook}/deliveries", who)
    assert (status, said.count(SENT) > 0) == (200, bool(found))
    assert (await asked(hub, "GET", f"/webhooks/{hook}/deliveries/{SENT}", who))[0] == (200 if found else 404)


async def test_one_that_is_no_longer_in_the_log_is_as_private(hub: Place) -> None:
    job = await a_private_job(hub)
    hub.world.first_kept = len(hub.world.events) + 1
    for way in ("job", "task", "page of events", "report", "say", "cancel"):
        assert await answer(hub, way, job, "agent") == await answer(hub, way, MISSING, "agent"), way


async def test_a_job_of_ours_is_seen_by_its_tenant_as_ever(hub: Place) -> None:
    hub.world.principal = OURS["agent"]
    job = (await hub.job("", SECRET)).replace("-", "")
    assert (await answer(hub, "task", job, "user"))[0] == 200
    assert '"total":1' in (await asked(hub, "GET", "/tasks", "user"))[1].replace(" ", "")
