"""A task with rules and a budget of its own at the orchestrator's surface: asked for, shown, refused, and taken over by what goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.orchestrator.asking import calling, working
from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.run import AgentStarted, RepositoryCloned, RunClaimed
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.task import SubmitTask, TaskFailed

RULE = {"tool": "Bash", "argument": "git push*", "then": "ask"}
SHOWN = {**RULE, "reason": ""}
OURS: dict[str, Any] = {"type": "repair", "metadata": {"repo": "acme/calc"}}
BUDGETS: dict[str, tuple[Any, int]] = {
    "nothing": (0, 400), "less than nothing": (-1, 400), "less than is counted": (1e-9, 400), "beyond all bounds": (1e300, 400),
    "text": ("5", 422), "yes": (True, 422), "a list": ([5], 422), "an object": ({"usd": 5}, 422),
}  # fmt: skip
RULES: dict[str, tuple[Any, int]] = {
    "one rule alone": (RULE, 422), "text": ("Bash", 422), "a list of text": (["Bash"], 422), "nothing said": ([{}], 422),
    "no argument": ([{"tool": "Bash", "then": "ask"}], 422), "no tool": ([{"argument": "*", "then": "ask"}], 422),
    "no ruling": ([{"tool": "Bash", "argument": "*"}], 422), "an unknown field": ([{**RULE, "scope": "run"}], 422),
    "allowing": ([{**RULE, "then": "allow"}], 400), "an unknown ruling": ([{**RULE, "then": "maybe"}], 400),
    "an empty tool": ([{**RULE, "tool": ""}], 400), "an empty argument": ([{**RULE, "argument": ""}], 400),
    "a tool of 201": ([{**RULE, "tool": "x" * 201}], 400), "an argument of 2001": ([{**RULE, "argument": "x" * 2001}], 400),
    "a reason of 1001": ([{**RULE, "reason": "x" * 1001}], 400), "a number for a tool": ([{**RULE, "tool": 1}], 422),
    "101 rules": ([{**RULE, "argument": str(number)} for number in range(101)], 400),
    "a secret": ([{**RULE, "argument": "ghp_" + "a1B2" * 9}], 400),
}  # fmt: skip


async def test_a_task_says_what_it_is_held_by_at_once_and_later() -> None:
    world = working()
    async with calling(world) as caller:
        made = await caller.task(**OURS, budget_usd=2, tool_rules=[RULE, {**RULE, "then": "deny", "reason": "not yet"}])
        read = (await caller.ask(f"GET /tasks/{made['task_id']}")).body["task"]
        listed = (await caller.ask("GET /tasks")).body["tasks"][0]
    assert made["task"] == read == listed
    assert (read["budget_usd"], read["spent"]["limit_usd"]) == (2.0, None)
    assert read["tool_rules"] == [SHOWN, {**SHOWN, "then": "deny", "reason": "not yet"}]
    [asked] = [one for one in world.sent if isinstance(one, SubmitTask)]
    assert asked.assignment.tool_rules[0] == ToolRule(tool="Bash", argument="git push*", then=Ruling.ASK)


async def test_a_task_without_terms_says_so() -> None:
    async with calling(working()) as caller:
        task = (await caller.task(budget_usd=None, tool_rules=None))["task"]
    assert (task["budget_usd"], task["tool_rules"]) == (None, [])


async def test_what_was_spent_stands_beside_what_may_be() -> None:
    world = working()
    answered = ModelAnswered(attempt=1, sitting=1, request="r", shape="anthropic", status=200, usd=0.5, limit_usd=2.0)
    async with calling(world) as caller:
        id = (await caller.task(**OURS))["task_id"]
        await world.say(id.removeprefix("task_"), answered, part="spend")
        spent = (await caller.ask(f"GET /tasks/{id}")).body["task"]["spent"]
    assert spent == {"usd": 0.5, "limit_usd": 2.0, "input_tokens": 0, "output_tokens": 0, "model": None}


@pytest.mark.parametrize(("value", "status"), BUDGETS.values(), ids=BUDGETS)
async def test_a_budget_that_cannot_be_is_refused(value: Any, status: int) -> None:
    await refused({"budget_usd": value}, status, "budget_usd")


@pytest.mark.parametrize(("value", "status"), RULES.values(), ids=RULES)
async def test_a_rule_that_cannot_be_is_refused(value: Any, status: int) -> None:
    await refused({"tool_rules": value}, status, "rule")


async def refused(terms: dict[str, Any], status: int, word: str) -> None:
    """Nothing came of it, and the sentence says where to look."""
    world = working()
    async with calling(world) as caller:
        said = await caller.ask("POST /tasks", {**OURS, "payload": {}, **terms})
    assert (said.status, world.events) == (status, []), said
    assert word in said.detail and "ghp_" not in said.detail


async def test_agents_elsewhere_are_promised_no_rule() -> None:
    async with calling(working()) as caller:
        said = await caller.ask("POST /tasks", {"type": "bugfix", "payload": {}, "budget_usd": 1})
    assert said.status == 400 and "agents elsewhere" in said.detail


@pytest.mark.parametrize("verb", ["continue", "fork"])
async def test_what_goes_on_is_held_at_least_as_tightly(verb: str) -> None:
    world = working()
    more = {**RULE, "argument": "*", "then": "deny"}
    async with calling(world) as caller:
        id = (await caller.task(**OURS, budget_usd=2, tool_rules=[RULE]))["task_id"]
        hex = id.removeprefix("task_")
        began = AgentStarted(agent="claude", sitting=1, session="")
        cloned = RepositoryCloned(attempt=1, branch="main", commit="c" * 40)
        await world.say(hex, RunClaimed(attempt=1, owner="o"), cloned, began, part="run")
        await world.say(hex, TaskFailed(code="NO_CHANGES", error="nothing"))
        same = await caller.ask(f"POST /tasks/{id}/{verb}", {"text": "more"})
        tighter = await caller.ask(f"POST /tasks/{id}/{verb}", {"text": "more", "budget_usd": 1, "tool_rules": [more]})
        looser = await caller.ask(f"POST /tasks/{id}/{verb}", {"text": "more", "budget_usd": 9})
        allowing = await caller.ask(f"POST /tasks/{id}/{verb}", {"text": "more", "tool_rules": [{**RULE, "then": "allow"}]})
    tasks = [said.body["task"] for said in (same, tighter, looser)]
    assert [task["budget_usd"] for task in tasks] == [2.0, 1.0, 2.0]
    assert [task["tool_rules"] for task in tasks] == [[SHOWN], [SHOWN, {**more, "reason": ""}], [SHOWN]]
    assert allowing.status == 400
