"""The forge as the bus speaks of it: asking for a pull request of a forge that has no pages of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import Command, Fact, Message


def one_name(repo: str) -> str:
    """What a repository is known by, however it is spelt: any case, `.git` or a slash behind it, or its address."""
    _, scheme, path = repo.strip().casefold().partition("://")
    said = path.partition("/")[2] if scheme else repo.strip().casefold()
    return said.rstrip("/").removesuffix(".git")


class ShowPullRequest(Command):
    """Read one pull request with its diff. Answered with a PullRequestView."""

    type: Literal["show_pull_request"] = "show_pull_request"
    repo: str
    """`owner/name` at the forge."""
    number: int = Field(ge=1)


class PullRequestView(Message):
    """A pull request as its page shows it."""

    number: int
    repo: str
    base: str
    head: str
    title: str
    body: str
    diff: str
    """Unified, as git prints it."""
    cut: bool
    """The diff was longer than what is shown."""
    created_at: str


class ReportPullRequest(Command):
    """A forge says what became of a pull request. Repeating it with the same delivery changes nothing."""

    type: Literal["report_pull_request"] = "report_pull_request"
    task_id: Token
    repo: str
    number: int = Field(ge=1)
    merged: bool
    by: str
    delivery: Token


class PullRequestEnded(Fact):
    """Somebody merged or closed it; the task was over before."""

    type: Literal["pull.ended"] = "pull.ended"
    repo: str
    number: int
    merged: bool
    by: str
