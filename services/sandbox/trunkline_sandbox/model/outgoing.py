"""What must be looked at before it leaves: pure rules about the files that a push would change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

SHOWN: Final = 5
"""Files that one reason names."""


@dataclass(frozen=True, slots=True)
class OutgoingPolicy:
    """What goes out without anybody's leave.

    In a path `*` stands for any name and `**/` for any folders; what ends in `/**` fits the folder and all below.
    """

    paths: tuple[str, ...]
    """Files that run with other rights than the agent's, or that tell agents and reviewers what to do."""
    files: int = 200
    pull_requests: int = 10
    """To one repository, in an hour."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A line that looks like a secret; what it says is told to nobody."""

    path: str
    number: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number} ({self.kind})"


def reasons(changed: Sequence[str], leaks: Sequence[Leak], policy: OutgoingPolicy, *, unread: bool = False) -> tuple[str, ...]:
    """Why a push must be approved, as sentences; nothing when it need not be. `unread`: more was added than was looked at."""
    guarded = [path for path in changed if any(fits(pattern, path) for pattern in policy.paths)]
    found = (
        guarded and f"it changes files that decide what runs or who reviews: {_some(guarded)}",
        len(changed) > policy.files and f"it changes {len(changed):,} files; up to {policy.files:,} go without asking",
        leaks and f"it adds what looks like a secret: {_some(leaks)}",
        unread and "it adds more than can be searched for secrets",
    )
    return tuple(reason for reason in found if reason)


def too_many(policy: OutgoingPolicy, repo: str) -> str:
    """The reason of a pull request beyond what one hour takes."""
    return f"{repo} has had {policy.pull_requests} pull requests within an hour"


def fits(pattern: str, path: str) -> bool:
    """Letter case counts for nothing: on some machines it is the same file."""
    return _compiled(pattern).fullmatch(path.casefold()) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern.casefold())
    for glob, expression in ((r"\*\*/", "(?:[^/]+/)*"), (r"/\*\*", "(?:/.+)?"), (r"\*", "[^/]*"), (r"\?", "[^/]")):
        text = text.replace(glob, expression)
    return re.compile(text)


def _some(things: Iterable[object]) -> str:
    named = [str(thing) for thing in things]
    more = len(named) - SHOWN
    return ", ".join(named[:SHOWN]) + (f" and {more} more" if more > 0 else "")
