"""What comments and statuses say at GitHub; all pure."""

from __future__ import annotations

import re

from trunkline_sandbox.ports import PullRequestSpec

_LINK = re.compile(r"\Ahttps?://\S+\Z")
_DESCRIPTION = 140
"""Characters that GitHub takes for a status."""


def marker(spec: PullRequestSpec) -> str:
    """By what our comment is found again."""
    return f"<!-- trunkline-task: {spec.task or spec.head} -->"


def comment(spec: PullRequestSpec) -> str:
    told = f"This work cost {spec.cost}." if spec.cost else "What this work cost is not known."
    link = f" [How it went]({spec.url})" if spec.url else ""
    return f"{told}{link}\n\n{marker(spec)}\n"


def status_text(told: str) -> tuple[str, str]:
    """Description, and the link when `told` ends with one."""
    words = told.split()
    link = words.pop() if words and _LINK.match(words[-1]) else ""
    text = " ".join(words).rstrip(":")
    return (text if len(text) <= _DESCRIPTION else text[: _DESCRIPTION - 1] + "…"), link
