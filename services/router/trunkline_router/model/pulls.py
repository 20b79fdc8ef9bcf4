"""Which pull request a task opened, as its own facts tell."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.contracts.message import Fact
from trunkline.contracts.run import PullRequestOpened
from trunkline.contracts.task import TaskSubmitted, TaskSucceeded


def opened_here(facts: Iterable[Fact], repo: str, number: int) -> bool:
    """Whether these facts of a task and its runs name that pull request; forges know one repository by any case of its name."""
    asked, numbers = "", set[int]()
    for fact in facts:
        match fact:
            case TaskSubmitted():
                asked = fact.assignment.repo
            case PullRequestOpened():
                numbers.add(fact.number)
            case TaskSucceeded() if fact.result:
                numbers.add(fact.result.pull_request)
            case _:
                pass
    return bool(asked) and asked.casefold() == repo.casefold() and number in numbers
