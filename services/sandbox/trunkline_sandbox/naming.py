"""How what a run leaves behind is called: branch, commit message, title and text of the pull request; all pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata

SUBJECT = 72
"""Characters in the first line of a commit message and in a title."""
QUOTED = 20_000
"""Characters of a prompt or a summary that a pull request repeats; forges refuse some 65,000."""

_REF_PART = re.compile(r"\A(?!\.)(?!.*\.\.)(?!.*@\{)[^\x00-\x20\x7f~^:?*\[\\/]+(?<!\.lock)(?<!\.)\Z")


def is_branch(name: str) -> bool:
    """Whether git takes `name` as a branch, by its own rules, and no program takes it as an option or a pattern."""
    if name.startswith("-") or name in ("@", "HEAD") or len(name.encode("utf-8", "replace")) > 240:
        return False
    return all(_REF_PART.match(part) for part in name.split("/"))


def branch_name(task_id: str, prompt: str) -> str:
    """The branch of a task: the same whenever asked, its own for every task."""
    folded = unicodedata.normalize("NFKD", prompt[:400]).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:40].strip("-")
    # A digest, because the beginning of a time-ordered id is the same for tasks of one moment.
    mark = hashlib.sha256(task_id.encode("utf-8", "replace")).hexdigest()[:12]
    return f"trunkline/{slug or 'task'}-{mark}"


def title(prompt: str) -> str:
    """The prompt's first line of text, without control characters, at most SUBJECT characters."""
    lines = (" ".join(_plain(line).split()) for line in prompt.splitlines())
    return _cut(next((line for line in lines if line), "Changes made by an agent"), SUBJECT)


def commit_message(prompt: str, task_id: str) -> str:
    """A subject, the whole prompt when the subject does not hold it, and the trailer that names the task."""
    subject = title(prompt)
    text = _cut(_plain(prompt).strip(), QUOTED)
    body = "" if " ".join(text.split()) in ("", subject) else f"{text}\n\n"
    return f"{subject}\n\n{body}Trunkline-Task: {_plain(task_id)}\n"


def pull_request_body(prompt: str, task_id: str, agent: str, summary: str) -> str:
    """What was asked, what the agent says it did, and where it came from, in Markdown."""
    asked = _fenced(_cut(_plain(prompt).strip(), QUOTED))
    said = _cut(_plain(summary).strip(), QUOTED)
    parts = ["### Asked for", asked, *(["### What the agent says", said] if said else [])]
    return "\n\n".join([*parts, f"---\nMade by `{_plain(agent)}` for Trunkline task `{_plain(task_id)}`. Review it before merging."]) + "\n"


def _fenced(text: str) -> str:
    """As a code block, so that a prompt neither mentions people nor closes issues."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _plain(text: str) -> str:
    """Without control, formatting and surrogate characters, which forge pages and terminals obey instead of showing."""
    return "".join(char for char in text if char in "\n\t" or not unicodedata.category(char).startswith("C"))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
