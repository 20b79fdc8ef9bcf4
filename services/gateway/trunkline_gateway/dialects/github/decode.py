"""From what GitHub tells to what Trunkline is to do about it: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue, ValidationError

from trunkline.contracts.dispatch import WorkflowRun
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import Assignment
from trunkline_gateway.dialects.github.schemas import Delivery, Issue, PullRequest, Repository
from trunkline_gateway.usecases.forge_news import PullRequestNews
from trunkline_gateway.usecases.run_news import NOBODY, WorkflowRunNews

SURFACE: Final = "github"
PROMPT_LIMIT: Final = 100 << 10
"""Bytes of UTF-8 that an issue may take of a prompt."""
_TRAILERS: Final = re.compile(r"(?:^Trunkline-Task: [0-9a-f]{32}[ \t\r]*(?:\n|\Z))+", re.MULTILINE)
"""One below the other; what stands further up in the text was said by people and agents."""
_TASK: Final = re.compile(r"[0-9a-f]{32}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
DISPATCHED: Final = "repository_dispatch"
MOST_TASKS: Final = 51
"""Of one pull request, the newest."""


@dataclass(frozen=True, slots=True)
class Customs:
    """By which signs a task is asked for, and by whom."""

    command: str = "/trunkline"
    label: str = "trunkline"
    starters: tuple[str, ...] = ("OWNER", "MEMBER", "COLLABORATOR")
    """What GitHub calls those whose comments may start work."""


@dataclass(frozen=True, slots=True)
class Start:
    """Somebody asks for work."""

    repo: str
    login: str
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Nothing:
    """It is not for us."""

    reason: str


def delivery(sent: dict[str, JsonValue]) -> Delivery:
    """Raises Invalid."""
    try:
        return Delivery.model_validate(sent)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors(include_input=False, include_url=False)[0]["loc"])
        raise Invalid(f"this is no delivery of GitHub's: {field} is missing or malformed", code="BAD_DELIVERY", field=field) from None


def wanted(event: str, told: Delivery, customs: Customs) -> Start | PullRequestNews | WorkflowRunNews | Nothing:
    """What is to be done about one delivery."""
    match event, told.action:
        case "issue_comment", "created":
            return _commented(told, customs)
        case (("issues" | "pull_request"), "labeled"):
            return _labelled(told, customs)
        case "pull_request", "closed":
            return _closed(told)
        case "workflow_run", ("requested" | "in_progress" | "completed"):
            return _run(told)
        case _:
            return Nothing("nothing is done about such events")


def _commented(told: Delivery, customs: Customs) -> Start | Nothing:
    if told.comment is None or told.issue is None or told.repository is None:
        return Nothing("the comment, its issue or its repository is missing")
    command, wish = [*told.comment.body.split(maxsplit=1), "", ""][:2]
    if command != customs.command:
        return Nothing(f"the comment does not begin with {customs.command}")
    if told.comment.author_association not in customs.starters or not (told.comment.user.human and told.sender.human):
        return Nothing("whoever commented may not start work in this repository")
    return _start(told, told.repository, told.issue, wish.strip())


def _labelled(told: Delivery, customs: Customs) -> Start | Nothing:
    about = told.pull_request or told.issue
    if about is None or told.repository is None or told.label is None:
        return Nothing("the issue, its label or its repository is missing")
    if told.label.name != customs.label:
        return Nothing(f"the label is not {customs.label}")
    if not told.sender.human:
        return Nothing("a program set the label")
    if told.pull_request and _from_fork(told.pull_request, told.repository):
        return Nothing("the branch of the pull request lies in a fork, where nothing can be pushed to")
    return _start(told, told.repository, about, "")


def _from_fork(pull: PullRequest, repository: Repository) -> bool:
    """Told by the event itself; a comment does not tell, and its task finds out when it begins."""
    there = pull.head.repo if pull.head else None
    return pull.state == "open" and there is not None and there.full_name.casefold() != repository.full_name.casefold()


def _start(told: Delivery, repository: Repository, about: Issue, wish: str) -> Start:
    base = told.pull_request.base.ref if told.pull_request and told.pull_request.base else repository.default_branch
    is_pull = told.pull_request is not None or about.pull_request is not None
    assignment = Assignment(
        repo=repository.full_name,
        prompt=_prompt(about, wish),
        source=SURFACE,
        branch=base,
        pull_request=about.number if is_pull else None,
        surface=SURFACE,
        metadata={"issue": about.number, "url": about.html_url[:500]},
        labels={"github_login": told.sender.login},
    )
    return Start(repository.full_name, told.sender.login, assignment)


def _prompt(about: Issue, wish: str) -> str:
    """What was wished for first; the issue behind it, as what it is."""
    issue = f"{about.title}\n\n{about.body or ''}".strip()
    text = f"{wish}\n\nThis was said on #{about.number}:\n\n{issue}" if wish else issue
    return text.replace("\x00", "").encode()[:PROMPT_LIMIT].decode("utf-8", "ignore") or f"#{about.number}"


def _closed(told: Delivery) -> PullRequestNews | Nothing:
    about, repository = told.pull_request, told.repository
    blocks = _TRAILERS.findall(about.body or "") if about else []
    found = tuple(TaskId(task) for task in dict.fromkeys(_TASK.findall(blocks[-1])))[-MOST_TASKS:] if blocks else ()
    if about is None or repository is None or not found:
        return Nothing("it names no task of ours")
    by = f"github:{told.sender.login}"
    return PullRequestNews(found, repository.full_name, about.number, bool(about.merged), by)


def _run(told: Delivery) -> WorkflowRunNews | Nothing:
    run, repository = told.workflow_run, told.repository
    if run is None or repository is None:
        return Nothing("the run or its repository is missing")
    if run.event != DISPATCHED:
        return Nothing("we start runs by repository_dispatch alone")
    named = _UUID.search(run.display_title)
    seen = WorkflowRun(
        run_id=run.id,
        run_attempt=run.run_attempt,
        url=run.html_url[:1000],
        status=run.status,
        conclusion=run.conclusion or "",
        title=run.display_title[:1000],
        created_at=run.created_at,
    )
    return WorkflowRunNews(repository.full_name, seen, TaskId(named[0].replace("-", "").lower()) if named else NOBODY)
