"""Which pull request a task opened, or is about to open, as its own facts tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from trunkline.contracts.forge import one_name
from trunkline.contracts.message import Fact
from trunkline.contracts.run import BranchPushed, PullRequestOpened
from trunkline.contracts.task import ENDS, TaskSubmitted, TaskSucceeded


@dataclass(slots=True)
class _Pulls:
    """What the facts of a task and its runs say of pull requests."""

    asked: str = ""
    """The repository, as `one_name` has it."""
    numbers: set[int] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    """Paths of their pages: a repository that was renamed is known by them."""
    named: bool = False
    """It is worked on in a user's sandbox: whoever opens its pull request is not us, and names the task in its text."""
    pushed: bool = False
    over: bool = False

    def opened(self, repo: str, number: int) -> bool:
        if self.named:
            return True
        named, page = one_name(repo), f"/{one_name(repo)}/pull/{number}"
        return bool(self.asked) and number in self.numbers and (named == self.asked or page in self.addresses)

    def opening(self, repo: str) -> bool:
        return self.pushed and not self.over and not self.numbers and one_name(repo) == self.asked


def opened_here(facts: Iterable[Fact], repo: str, number: int) -> bool:
    """Whether these facts of a task and its runs name that pull request."""
    return _pulls(facts).opened(repo, number)


def opening_here(facts: Iterable[Fact], repo: str) -> bool:
    """Whether a pull request of this repository may be the task's, whose run pushed and has not said so yet."""
    return _pulls(facts).opening(repo)


def _pulls(facts: Iterable[Fact]) -> _Pulls:
    found = _Pulls()
    for fact in facts:
        match fact:
            case TaskSubmitted():
                found.asked = one_name(fact.assignment.repo)
                found.named = fact.assignment.sandbox is not None
            case BranchPushed():
                found.pushed = True
            case PullRequestOpened():
                _add(found, fact.number, fact.url)
            case TaskSucceeded() if fact.result and fact.result.pull_request:
                _add(found, fact.result.pull_request, fact.result.pull_request_url)
            case _:
                pass
        found.over = found.over or isinstance(fact, ENDS)
    return found


def _add(found: _Pulls, number: int, url: str) -> None:
    found.numbers.add(number)
    found.addresses.add(urlsplit(url).path.casefold())
