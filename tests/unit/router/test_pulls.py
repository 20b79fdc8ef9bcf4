"""Which pull request is a task's own."""

from __future__ import annotations

import pytest

from tests.unit.router.test_task_life import RESULT, SUBMITTED
from trunkline.contracts.message import Fact
from trunkline.contracts.run import PullRequestOpened
from trunkline.contracts.task import TaskSucceeded
from trunkline_router.model import opened_here

OPENED = PullRequestOpened(number=7, url="u")


@pytest.mark.parametrize(
    ("facts", "repo", "number", "own"),
    [
        pytest.param([SUBMITTED, OPENED], "acme/calc", 7, True, id="as-its-run-says"),
        pytest.param([SUBMITTED, TaskSucceeded(result=RESULT)], "acme/calc", 1, True, id="as-its-result-says"),
        pytest.param([SUBMITTED, OPENED], "Acme/Calc", 7, True, id="a-forge-spells-it-in-its-own-way"),
        pytest.param([SUBMITTED, OPENED], "acme/calc", 8, False, id="another-number"),
        pytest.param([SUBMITTED, OPENED], "acme/other", 7, False, id="another-repository"),
        pytest.param([SUBMITTED], "acme/calc", 7, False, id="none-was-opened"),
        pytest.param([OPENED], "", 7, False, id="no-task"),
        pytest.param([], "acme/calc", 7, False, id="nothing"),
    ],
)
def test_a_pull_request_is_a_tasks_own_when_its_facts_name_it(facts: list[Fact], repo: str, number: int, own: bool) -> None:
    assert opened_here(facts, repo, number) is own
