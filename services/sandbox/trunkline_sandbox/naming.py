"""How what a run leaves behind is called: branch, commit message, title and text of the pull request; all pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from trunkline.contracts.run import Usage

SUBJECT = 72
"""Characters in the first line of a commit message and in a title."""
QUOTED = 20_000
"""Characters of a prompt or a summary that a pull request repeats; forges refuse some 65,000."""

LONGEST = 65_000
"""Characters of a pull request's text; GitHub takes 65,536."""

_TRAILERS = re.compile(r"(?:^Trunkline-Task: [0-9a-f]{32}[ \t\r]*(?:\n|\Z))+", re.MULTILINE)
_LINK = re.compile(r"\Ahttps?://[^\s()<>]+\Z")
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
    return f"{subject}\n\n{body}{trailer(task_id)}\n"


@dataclass(frozen=True, slots=True)
class Footnote:
    """What a pull request says at its foot beside the task: what the run cost, and where its timeline is shown."""

    usage: Usage | None = None
    url: str = ""
    before: tuple[str, ...] = ()
    """The tasks whose work it holds too, the oldest first."""
    fork_of: str = ""
    """The task that it was forked off."""


def pull_request_body(prompt: str, task_id: str, agent: str, summary: str, foot: Footnote | None = None) -> str:
    """What was asked, what the agent says it did, what it cost and where it came from, in Markdown; the trailers are its last lines."""
    foot = foot or Footnote()
    asked = _fenced(_cut(_plain(prompt).strip(), QUOTED))
    said = _cut(_plain(summary).strip(), QUOTED)
    made = f"---\nMade {_for(task_id, agent, foot)}{_after(foot)}.{_paid(foot)} Review it before merging."
    told = ["### What the agent says", _closed(said)] if said else []
    trailers = "\n".join(trailer(each) for each in (*foot.before, task_id))
    return "\n\n".join(["### Asked for", asked, *told, made, trailers]) + "\n"


def went_on(task_id: str, agent: str, foot: Footnote) -> str:
    """What is added to a pull request that was there before this task went on with it."""
    return f"Continued {_for(task_id, agent, foot)}.{_paid(foot)}"


def joined(body: str, note: str, task_id: str) -> str:
    """The text of a pull request with one more task that worked on it: its note and its trailer behind those of the others.

    Unchanged where the task is named already, and where there is no room for it.
    """
    if not task_id or trailer(task_id) in (line.rstrip() for line in body.splitlines()):
        return body
    blocks = list(_TRAILERS.finditer(body))
    start, end = (blocks[-1].span()) if blocks else (len(body), len(body))
    head, block, tail = body[:start].rstrip(), body[start:end].rstrip(), body[end:].strip()
    named = f"{block}\n{trailer(task_id)}".lstrip()
    for told in (note, ""):
        text = "\n\n".join(filter(None, (head, told, named, tail))) + "\n"
        if len(text) <= LONGEST:
            return text
    return body


def _for(task_id: str, agent: str, foot: Footnote) -> str:
    task = f"[task `{_plain(task_id)}`]({foot.url})" if _LINK.match(foot.url) else f"task `{_plain(task_id)}`"
    return f"by `{_plain(agent)}` for Trunkline {task}"


def _after(foot: Footnote) -> str:
    if foot.fork_of:
        return f", forked off task `{_plain(foot.fork_of)}`"
    return ", after " + ", ".join(f"task `{_plain(each)}`" for each in foot.before) if foot.before else ""


def _paid(foot: Footnote) -> str:
    return f" It cost {cost(foot.usage)}." if cost(foot.usage) else ""


def trailer(task_id: str) -> str:
    """By what news of a commit or a pull request find their task."""
    return f"Trunkline-Task: {_plain(task_id)}"


def cost(usage: Usage | None) -> str:
    """In words, of what is known; empty when nothing is."""
    if usage is None:
        return ""
    tokens = [f"{count:,} tokens {way}" for count, way in ((usage.input_tokens, "in"), (usage.output_tokens, "out")) if count is not None]
    usd = [] if usage.cost_usd is None else [f"US$ {usage.cost_usd:,.2f}" if usage.cost_usd >= 0.01 else f"US$ {usage.cost_usd:.4f}"]
    model = [_plain(usage.model)[:80].replace("`", "")] if usage.model and (tokens or usd) else []
    return ", ".join([*usd, *tokens, *model])


def _fenced(text: str) -> str:
    """As a code block, so that a prompt neither mentions people nor closes issues."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _closed(text: str) -> str:
    """Without an open code block or comment, which would swallow what stands behind it."""
    fences = len(re.findall(r"^ {0,3}```", text, re.MULTILINE))
    return text.replace("<!--", "&lt;!--") + ("\n```" if fences % 2 else "")


def _plain(text: str) -> str:
    """Without control, formatting and surrogate characters, which forge pages and terminals obey instead of showing."""
    return "".join(char for char in text if char in "\n\t" or not unicodedata.category(char).startswith("C"))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
