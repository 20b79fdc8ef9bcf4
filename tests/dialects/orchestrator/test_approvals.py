"""Approvals at the orchestrator's surface: asked with the task, decided once, by somebody else, for what was shown."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue

from tests.dialects.orchestrator.asking import ADMIN, AGENT, APPROVER, USER, Caller, calling, working
from tests.dialects.world import World
from trunkline.auth.principal import Principal, Role
from trunkline.contracts.approval import (
    ApprovalDecided,
    ApprovalPolicy,
    ApprovalRequested,
    ApprovalWithdrawn,
    DecidedBy,
    Stage,
    Verdict,
)

TASK = "0194589f6d0070008000000000000001"


async def held(caller: Caller, **fields: object) -> dict[str, Any]:
    return await caller.task(**{"priority": "P0", "payload": {"description": "Critical deployment"}, **fields})


async def test_what_is_asked_shows_what_it_is_about() -> None:
    async with calling(working()) as caller:
        made = await held(caller)
        pending = (await caller.ask("GET /approvals/pending")).body
        one = (await caller.ask(f"GET /approvals/{made['approval_id']}")).body["approval"]
    assert (pending["count"], pending["total"], pending["approvals"]) == (1, 1, [one])
    assert (one["task_id"], one["status"], one["priority"], one["task_type"]) == (made["task_id"], "pending", "P0", "bugfix")
    assert (one["requested_by"], one["quorum"], one["votes"], one["kind"]) == ("dev-agent-1", 1, 0, "task")
    assert one["created_at"] == one["requested_at"] < one["expires_at"]
    assert "P0" in one["reason"]
    assert len(one["digest"]) == 64
    assert "approved_by" not in one


async def test_an_approval_releases_the_task() -> None:
    world = working()
    async with calling(world) as caller:
        made = await held(caller)
        world.principal = APPROVER
        said = await caller.ask(f"POST /approvals/{made['approval_id']}/approve", {"reason": "looked at it"})
        assert said.body == {"success": True, "approval_id": made["approval_id"], "message": "Approved by eve"}
        one = (await caller.ask(f"GET /approvals/{made['approval_id']}")).body["approval"]
        assert (one["status"], one["approved_by"], one["decided_by"], one["decision_reason"]) == (
            "approved",
            "eve",
            "human",
            "looked at it",
        )
        assert one["approved_at"] == one["decided_at"]
        world.principal = AGENT
        moved = await caller.ask(f"PATCH /tasks/{made['task_id']}/status?status=in_progress")
        task = (await caller.ask(f"GET /tasks/{made['task_id']}")).body["task"]
    assert (moved.status, task["approval_status"], task["status"]) == (200, "approved", "in_progress")


@pytest.mark.parametrize(
    ("query", "reason", "error"),
    [("Security+concerns", "Security concerns", "Security concerns"), ("+%0a", None, "rejected by admin-user")],
    ids=["a reason", "blank is none"],
)
async def test_a_refusal_cancels_the_task_for_the_reason_given(query: str, reason: str | None, error: str) -> None:
    world = working()
    async with calling(world) as caller:
        made = await held(caller)
        world.principal = ADMIN
        said = await caller.ask(f"POST /approvals/{made['approval_id']}/reject?reason={query}")
        task = (await caller.ask(f"GET /tasks/{made['task_id']}")).body["task"]
        (one,) = (await caller.ask("GET /approvals/history")).body["history"]
    assert said.body["message"] == "Rejected by admin-user"
    assert (task["status"], task["error"], task["approval_status"]) == ("cancelled", error, "rejected")
    assert (one["rejected_by"], one["rejection_reason"], one["status"]) == ("admin-user", reason, "rejected")


async def test_deciding_twice_is_answered_as_deciding_what_never_was() -> None:
    world = working()
    async with calling(world) as caller:
        made = await held(caller)
        world.principal = APPROVER
        assert (await caller.ask(f"POST /approvals/{made['approval_id']}/approve")).status == 200
        for verb in ("approve", "reject"):
            again = await caller.ask(f"POST /approvals/{made['approval_id']}/{verb}")
            never = await caller.ask(f"POST /approvals/approval_{'0' * 32}/{verb}")
            assert (again.status, never.status) == (404, 404)
        assert (await caller.ask("GET /approvals/pending")).body["count"] == 0
        assert (await caller.ask("GET /approvals/history")).body["count"] == 1


async def test_whoever_asked_does_not_decide_unless_an_admin() -> None:
    world = working()
    async with calling(world) as caller:
        mine = await held(caller)
        assert (await caller.ask(f"POST /approvals/{mine['approval_id']}/approve")).status == 403
        world.principal = ADMIN
        admins = await held(caller)
        assert (await caller.ask(f"POST /approvals/{admins['approval_id']}/approve")).status == 200


@pytest.mark.parametrize(("role", "status"), [(Role.USER, 403), (Role.AGENT, 200), (Role.APPROVER, 200), (Role.ADMIN, 200)])
async def test_who_may_decide(role: Role, status: int) -> None:
    world = working()
    async with calling(world) as caller:
        made = await held(caller)
        world.principal = Principal(AGENT.tenant, "somebody-else", role)
        assert (await caller.ask(f"POST /approvals/{made['approval_id']}/approve")).status == status
        assert (await caller.ask("GET /approvals/pending")).status == 200


async def test_a_decision_on_something_else_than_was_shown_is_refused() -> None:
    world = working()
    async with calling(world) as caller:
        made = await held(caller)
        world.principal = APPROVER
        path = f"/approvals/{made['approval_id']}"
        assert (await caller.ask(f"POST {path}/approve", {"digest": "0" * 64})).status == 409
        digest = (await caller.ask(f"GET {path}")).body["approval"]["digest"]
        assert (await caller.ask(f"POST {path}/approve", {"digest": digest})).status == 200


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("?reason=" + "x" * 1025, None, 400),
        ("", {"reason": "x" * 100_000}, 400),
        ("", {"reason": 5}, 422),
        ("?reason=a", {"reason": "b"}, 400),
        ("?reason=a&reason=b", None, 400),
        ("", {"digest": "abc"}, 400),
        ("?reason=" + "x" * 1024, None, 200),
        ("?reason=a", {"reason": "a"}, 200),
        ("", {}, 200),
    ],
)
async def test_reasons_have_a_length(query: str, body: object, status: int) -> None:
    world = working()
    async with calling(world) as caller:
        made = await held(caller)
        world.principal = APPROVER
        assert (await caller.ask(f"POST /approvals/{made['approval_id']}/reject{query}", body)).status == status
        task = (await caller.ask(f"GET /tasks/{made['task_id']}")).body["task"]
    assert (task["status"] == "cancelled") is (status == 200)


async def test_several_people_are_counted() -> None:
    world = working()
    policy = ApprovalPolicy(first=Stage(quorum=2))
    asked = ApprovalRequested(approval_id="call-1", kind="tool_call", subject="rm", digest="0" * 64, requested_by="x", policy=policy)
    await world.say(TASK, asked, part="approval-call-1")
    name = f"approval_{TASK}_call-1"
    async with calling(world) as caller:
        world.principal = APPROVER
        first = (await caller.ask(f"POST /approvals/{name}/approve")).body
        assert (first["message"], first["status"], first["votes"], first["quorum"]) == ("Vote recorded: 1 of 2", "pending", 1, 2)
        assert (await caller.ask(f"POST /approvals/{name}/approve")).status == 404
        world.principal = ADMIN
        second = (await caller.ask(f"POST /approvals/{name}/approve")).body
        assert second == {"success": True, "approval_id": name, "message": "Approved by admin-user"}
        one = (await caller.ask(f"GET /approvals/{name}")).body["approval"]
    assert [voter["by"] for voter in one["voters"]] == ["eve", "admin-user"]
    assert (one["votes"], one["kind"]) == (2, "tool_call")


ABOUT: dict[str, JsonValue] = {
    "agent": "claude", "tool": "Bash", "input": {"command": "make test"}, "argument": "make test", "rule": {"tool": "Bash", "then": "ask"},
    "offers": ["once", "run", "rewrite"],
}  # fmt: skip
CALL = f"approval_{TASK}_call-1"


async def asking(world: World, kind: str = "tool_call", policy: ApprovalPolicy | None = None, **about: JsonValue) -> None:
    """A run wants something allowed."""
    asked = ApprovalRequested(
        approval_id="call-1", kind=kind, subject="Run `make test`?", digest="0" * 64, requested_by="agent:claude", about=ABOUT | about,
        policy=policy or ApprovalPolicy(),
    )  # fmt: skip
    await world.say(TASK, asked, part="approval-call-1")


async def test_a_person_sees_exactly_what_would_run() -> None:
    world = working()
    await asking(world)
    async with calling(world) as caller:
        one = (await caller.ask(f"GET /approvals/{CALL}")).body["approval"]
        (listed,) = (await caller.ask("GET /approvals/pending")).body["approvals"]
        gate = (await caller.ask(f"GET /approvals/{(await held(caller))['approval_id']}")).body["approval"]
    assert (one["kind"], one["digest"], one["about"]) == ("tool_call", "0" * 64, ABOUT)
    assert listed == one
    assert (one["allowance"], gate["about"], gate["allowance"]) == (None, None, None)


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ({}, None),
        ({"scope": "once"}, None),
        ({"scope": "run"}, {"scope": "run"}),
        (
            {"scope": "run", "rule": {"tool": "Bash", "argument": "make *"}},
            {"scope": "run", "rule": {"tool": "Bash", "argument": "make *"}},
        ),
        ({"scope": "run", "rule": {"tool": "Bash", "argument": "*"}}, {"scope": "run", "rule": {"tool": "Bash", "argument": "*"}}),
        ({"input": {"command": "make check", "n": [1, None]}}, {"scope": "once", "input": {"command": "make check", "n": [1, None]}}),
        ({"scope": None, "rule": None, "input": None, "usd": None}, None),
    ],
)
async def test_a_yes_may_hold_what_was_offered(said: dict[str, Any], holds: dict[str, Any] | None) -> None:
    world = working()
    await asking(world)
    async with calling(world) as caller:
        answer = await caller.ask(f"POST /approvals/{CALL}/approve", {"reason": "fine", **said})
        one = (await caller.ask(f"GET /approvals/{CALL}")).body["approval"]
    assert (answer.status, one["status"], one["approved_by"]) == (200, "approved", "dev-agent-1")
    told = {name: value for name, value in (one["allowance"] or {}).items() if value is not None}
    assert told == (holds or {})


async def test_more_may_be_spent_where_a_budget_is_asked_about() -> None:
    world = working()
    await asking(world, "budget", offers=["usd"])
    async with calling(world) as caller:
        assert (await caller.ask(f"POST /approvals/{CALL}/approve", {"usd": 5})).status == 200
        one = (await caller.ask(f"GET /approvals/{CALL}")).body["approval"]
    assert one["allowance"] == {"scope": "once", "rule": None, "input": None, "usd": 5.0, "answer": None}


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("approve", {"usd": 5}, 400),
        ("approve", {"rule": {"tool": "Bash", "argument": "*"}}, 400),
        ("approve", {"scope": "run", "rule": {"tool": "Write", "argument": "*"}}, 400),
        ("approve", {"scope": "run", "rule": {"tool": "Bash"}}, 422),
        ("approve", {"scope": "run", "rule": {"tool": "Bash", "argument": ""}}, 400),
        ("approve", {"usd": 0}, 400),
        ("approve", {"usd": -5}, 400),
        ("approve", {"usd": 1e9}, 400),
        ("approve", {"usd": "5"}, 422),
        ("approve", {"scope": "run", "rule": {"argument": "x"}}, 422),
        ("approve", {"scope": "run", "rule": {"tool": "Bash", "then": "deny"}}, 422),
        ("approve", {"scope": "always"}, 400),
        ("approve", {"usd": 0}, 400),
        ("approve", {"usd": "5"}, 422),
        ("approve", {"input": "ls"}, 422),
        ("reject", {"scope": "run"}, 422),
        ("reject", {"input": {}}, 422),
    ],
)
async def test_what_was_not_offered_or_makes_no_sense_is_refused_and_nothing_is_decided(verb: str, body: object, status: int) -> None:
    world = working()
    await asking(world)
    async with calling(world) as caller:
        answer = await caller.ask(f"POST /approvals/{CALL}/{verb}", body)
        one = (await caller.ask(f"GET /approvals/{CALL}")).body["approval"]
    assert (answer.status, one["status"]) == (status, "pending"), answer.body


async def test_those_who_vote_see_what_the_first_meant_and_must_mean_the_same() -> None:
    world = working()
    await asking(world, policy=ApprovalPolicy(first=Stage(quorum=2)))
    async with calling(world) as caller:
        await caller.ask(f"POST /approvals/{CALL}/approve", {"scope": "run"})
        seen = (await caller.ask(f"GET /approvals/{CALL}")).body["approval"]["allowance"]
        world.principal = ADMIN
        other = await caller.ask(f"POST /approvals/{CALL}/approve", {"scope": "run", "rule": {"tool": "Bash", "argument": "make *"}})
        same = await caller.ask(f"POST /approvals/{CALL}/approve", {"scope": seen["scope"]})
    assert (other.status, same.status, seen["scope"]) == (409, 200, "run")
    assert "dev-agent-1 allowed something else" in other.detail


async def test_a_refusal_of_a_call_holds_its_reason_and_no_allowance_of_those_who_agreed() -> None:
    world = working()
    await asking(world, policy=ApprovalPolicy(first=Stage(quorum=2)))
    async with calling(world) as caller:
        await caller.ask(f"POST /approvals/{CALL}/approve", {"scope": "run"})
        world.principal = ADMIN
        await caller.ask(f"POST /approvals/{CALL}/reject", {"reason": "use make check"})
        one = (await caller.ask(f"GET /approvals/{CALL}")).body["approval"]
    assert (one["status"], one["rejection_reason"], one["allowance"]) == ("rejected", "use make check", None)


async def test_a_decision_of_the_clock_is_told_from_a_refusal() -> None:
    world = working()
    for name, fact in {
        "late": ApprovalDecided(approval_id="late", verdict=Verdict.REJECTED, decided_by=DecidedBy.TIMEOUT, by="timeout"),
        "gone": ApprovalWithdrawn(approval_id="gone", reason="the task was cancelled"),
    }.items():
        asked = ApprovalRequested(approval_id=name, subject="s", digest="0" * 64, requested_by="x")
        await world.say(TASK, asked, fact, part=f"approval-{name}")
    async with calling(world) as caller:
        history = (await caller.ask("GET /approvals/history")).body["history"]
    late = next(one for one in history if one["approval_id"].endswith("_late"))
    gone = next(one for one in history if one["approval_id"].endswith("_gone"))
    assert (late["status"], late["decided_by"], late["rejected_by"], late["rejection_reason"]) == ("rejected", "timeout", "timeout", None)
    assert (gone["status"], gone["decision_reason"]) == ("withdrawn", "the task was cancelled")
    assert "rejected_by" not in gone


async def test_the_history_is_complete_and_paged() -> None:
    world = working()
    for number in range(450):
        asked = ApprovalRequested(approval_id=f"n{number}", subject="s", digest="0" * 64, requested_by="x")
        over = ApprovalDecided(approval_id=f"n{number}", verdict=Verdict.APPROVED, decided_by=DecidedBy.HUMAN, by="eve")
        await world.say(TASK, asked, over, part=f"approval-n{number}")
    world.principal = USER
    async with calling(world) as caller:
        first = (await caller.ask("GET /approvals/history?limit=300")).body
        rest = (await caller.ask(f"GET /approvals/history?limit=1000&cursor={first['next_cursor']}")).body
        plain = (await caller.ask("GET /approvals/history")).body
    assert (first["count"], first["total"], rest["count"], rest["next_cursor"], plain["count"]) == (300, 450, 150, None, 100)
    assert len({one["approval_id"] for one in first["history"] + rest["history"]}) == 450


@pytest.mark.parametrize("list", ["pending", "history"])
@pytest.mark.parametrize(
    ("query", "status"), [("limit=0", 400), ("limit=-1", 400), ("limit=1000000000", 400), ("limit=x", 422), ("limit=5_0", 422)]
)
async def test_a_list_of_no_length_is_refused(list: str, query: str, status: int) -> None:
    async with calling(working()) as caller:
        assert (await caller.ask(f"GET /approvals/{list}?{query}")).status == status


@pytest.mark.parametrize(
    "name", ["approval_123", TASK, f"approval_{TASK}_", f"approval_{TASK}_a b", f"approval_{TASK}_{'x' * 56}", "task_x"]
)
async def test_what_is_no_approval_is_not_found(name: str) -> None:
    async with calling(working()) as caller:
        assert (await caller.ask(f"GET /approvals/{name}")).status == 404
