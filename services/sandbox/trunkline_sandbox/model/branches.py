"""What is said of a branch that is not as an earlier task left it."""

from __future__ import annotations

from trunkline.contracts.errors import Conflict


def branch_moved(branch: str, there_now: str | None) -> Conflict:
    """`there_now` is the commit that it is at, if there is such a branch at all."""
    what = "somebody pushed to it" if there_now else "somebody removed it"
    text = (
        f"The branch {branch!r} is not as the earlier task left it: {what}. "
        "Continue the task that did, if one did, or fork this one: a fork has a branch of its own."
    )
    return Conflict(text, code="BRANCH_MOVED", branch=branch, commit=there_now or "")
