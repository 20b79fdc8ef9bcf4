"""Which pull request is a task's own."""

from __future__ import annotations

import pytest

from tests.unit.router.test_task_life import RESULT, SUBMITTED
from trunkline.contracts.forge import one_name
from trunkline.contracts.message import Fact
from trunkline.contracts.run import BranchPushed, PullRequestOpened
from trunkline.contracts.task import TaskFailed, TaskSubmitted, TaskSucceeded
from trunkline_router.model import opened_here, opening_here

OPENED = PullRequestOpened(number=7, url="https://github.com/Acme/Calc2/pull/7")
PUSHED = BranchPushed(branch="b", commit="c")
FAILED = TaskFailed(code="X", error="x")


def asked_as(repo: str) -> TaskSubmitted:
    return SUBMITTED.model_copy(update={"assignment": SUBMITTED.assignment.model_copy(update={"repo": repo})})


IN_A_SANDBOX = SUBMITTED.model_copy(update={"assignment": SUBMITTED.assignment.model_copy(update={"repo": "", "sandbox": "sbx-1"})})


@pytest.mark.parametrize(
    ("facts", "repo", "number", "own"),
    [
        pytest.param([SUBMITTED, OPENED], "acme/calc", 7, True, id="as-its-run-says"),
        pytest.param([SUBMITTED, TaskSucceeded(result=RESULT)], "acme/calc", 1, True, id="as-its-result-says"),
        pytest.param([SUBMITTED, OPENED], "Acme/Calc", 7, True, id="a-forge-spells-it-in-its-own-way"),
        pytest.param([asked_as("acme/calc.git"), OPENED], "acme/calc", 7, True, id="asked-for-with-git-behind"),
        pytest.param([asked_as("https://github.com/Acme/calc.git/"), OPENED], "acme/calc", 7, True, id="asked-for-by-its-address"),
        pytest.param([SUBMITTED, OPENED], "acme/calc2", 7, True, id="renamed-before-it-was-opened"),
        pytest.param([SUBMITTED, OPENED], "acme/calc2", 8, False, id="renamed-and-another-number"),
        pytest.param([SUBMITTED, OPENED], "acme/calc", 8, False, id="another-number"),
        pytest.param([SUBMITTED, OPENED], "acme/other", 7, False, id="another-repository"),
        pytest.param([SUBMITTED], "acme/calc", 7, False, id="none-was-opened"),
        pytest.param([IN_A_SANDBOX], "acme/any", 7, True, id="a-job-in-a-sandbox-whose-agent-opens-them-itself"),
        pytest.param([OPENED], "", 7, False, id="no-task"),
        pytest.param([], "acme/calc", 7, False, id="nothing"),
    ],
)
def test_a_pull_request_is_a_tasks_own_when_its_facts_name_it(facts: list[Fact], repo: str, number: int, own: bool) -> None:
    assert opened_here(facts, repo, number) is own


@pytest.mark.parametrize(
    ("facts", "repo", "may"),
    [
        pytest.param([SUBMITTED, PUSHED], "Acme/Calc", True, id="pushed"),
        pytest.param([SUBMITTED], "acme/calc", False, id="nothing-was-pushed"),
        pytest.param([SUBMITTED, PUSHED, OPENED], "acme/calc", False, id="it-has-one"),
        pytest.param([SUBMITTED, PUSHED, FAILED], "acme/calc", False, id="it-is-over"),
        pytest.param([SUBMITTED, PUSHED], "acme/other", False, id="another-repository"),
    ],
)
def test_a_task_may_be_about_to_name_a_pull_request_between_its_push_and_its_word(facts: list[Fact], repo: str, may: bool) -> None:
    assert opening_here(facts, repo) is may


@pytest.mark.parametrize("spelt", ["acme/calc", "Acme/Calc.git", "acme/calc/", "https://github.com/ACME/calc", "http://h:8/acme/calc.git"])
def test_a_repository_has_one_name_however_it_is_spelt(spelt: str) -> None:
    assert one_name(spelt) == "acme/calc"
