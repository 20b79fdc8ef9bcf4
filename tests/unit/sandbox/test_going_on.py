"""How an agent takes up an earlier conversation, and what it is told where it cannot."""

from __future__ import annotations

import pytest

from trunkline.contracts.task import Onward, Origin
from trunkline_sandbox.handlers.go_on import first_task
from trunkline_sandbox.model import AgentTask, Skill
from trunkline_sandbox.model.branches import branch_moved

PLAIN = AgentTask("now add a test")
ABLE = Skill(resume=True, fork=True)


def origin(onward: Onward = Onward.CONTINUE, session: str = "s-1", **more: str) -> Origin:
    told = {"asked": "fix the login", "summary": "fixed it", **more}
    return Origin(task="t1", onward=onward, attempt=1, snapshot="1-1-7-ab", commit="c", base="b", session=session, **told)


def test_a_task_of_its_own_is_told_what_it_is() -> None:
    assert first_task(PLAIN, None, ABLE) == PLAIN


@pytest.mark.parametrize(("onward", "fork"), [(Onward.CONTINUE, False), (Onward.FORK, True)])
def test_an_agent_that_can_takes_up_the_conversation(onward: Onward, fork: bool) -> None:
    task = first_task(PLAIN, origin(onward), ABLE)
    assert (task.prompt, task.session, task.fork) == ("now add a test", "s-1", fork)


@pytest.mark.parametrize("skill", [Skill(), Skill(resume=True)])
def test_one_that_cannot_is_told_what_came_of_it(skill: Skill) -> None:
    task = first_task(PLAIN, origin(Onward.FORK), skill)
    assert task.session == ""
    assert [words in task.prompt for words in ("fix the login", "fixed it", "as it was left")] == [True] * 3
    assert task.prompt.endswith("now add a test")


def test_nothing_is_told_of_what_was_not_so_then() -> None:
    assert first_task(PLAIN, origin(Onward.FORK, session="", asked="", summary=""), ABLE) == PLAIN


def test_a_branch_that_moved_says_how_to_go_on() -> None:
    assert "somebody pushed" in branch_moved("b", "c").message and "somebody removed" in branch_moved("b", None).message
    assert "Fork" in branch_moved("b", None).message or "fork" in branch_moved("b", None).message
