"""The forge as the bus speaks of it: asking for a pull request of a forge that has no pages of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trunkline.contracts.message import Command, Message


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
