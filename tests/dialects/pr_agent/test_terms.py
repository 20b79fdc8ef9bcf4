"""A job with rules and a budget of its own at the pr_agent surface."""

from __future__ import annotations

from tests.dialects.world import World, talking
from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.task import SubmitTask

EXECUTE = "/api/pr-agent/execute"
GOOD = {"repo": "myorg/myrepo", "task": "add tests"}
RULE = {"tool": "Bash", "argument": "git push*", "then": "ask"}


async def test_a_job_is_submitted_with_what_it_is_held_by() -> None:
    world = World()
    terms = {"budgetUsd": 2, "toolRules": [RULE, {**RULE, "then": "deny", "reason": "not yet"}]}
    async with talking(world) as session:
        for body in ({**GOOD, **terms}, GOOD):
            assert (await session.post(EXECUTE, json=body)).status == 200
    held, free = (one.assignment for one in world.sent if isinstance(one, SubmitTask))
    assert (held.budget_usd, free.budget_usd, free.tool_rules) == (2.0, None, ())
    assert held.tool_rules == tuple(
        ToolRule(tool="Bash", argument="git push*", then=then, reason=why) for then, why in ((Ruling.ASK, ""), (Ruling.DENY, "not yet"))
    )


async def test_a_secret_is_not_kept_as_a_rule() -> None:
    world = World()
    secret = "ghp_" + "a1B2" * 9
    async with talking(world) as session:
        answer = await session.post(EXECUTE, json={**GOOD, "toolRules": [{**RULE, "argument": secret}]})
        said = await answer.text()
    assert (answer.status, world.sent) == (400, [])
    assert "SECRET_IN_RULE" in said and secret not in said
