"""What the sandbox service hears."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trunkline.bus import Elsewhere, Inlet, Stored
from trunkline.bus.commands import Ping
from trunkline.contracts import subjects
from trunkline.contracts.forge import ShowPullRequest
from trunkline.contracts.image import GetImage, InvalidateImages
from trunkline.contracts.sandbox import (
    DeleteSandbox,
    EnsureSandbox,
    GetSandbox,
    ListSandboxes,
    SandboxUsage,
    StartSandbox,
    StopSandbox,
    TouchSandbox,
    service_at,
)
from trunkline.contracts.steering import EditMessage, ListMessages, ReorderMessages, SayToAgent, SteerRun, WithdrawMessage
from trunkline.contracts.task import ENDS, Assignment, Executor, TaskStopRequested
from trunkline_sandbox.handlers.answer_inbox import AnswerInbox
from trunkline_sandbox.handlers.entrust import Entrust
from trunkline_sandbox.handlers.image_news import IMAGE_NEWS
from trunkline_sandbox.handlers.inbox import Inbox
from trunkline_sandbox.handlers.named import Sandboxes
from trunkline_sandbox.handlers.named_news import NEWS, NamedDue
from trunkline_sandbox.handlers.show_pull_request import ShowPullRequestPage
from trunkline_sandbox.handlers.stop_unclaimed import StopUnclaimed
from trunkline_sandbox.handlers.wake import LookDue, Wake


@dataclass(frozen=True, slots=True)
class Answers:
    """Who answers what is heard."""

    stop: StopUnclaimed
    page: ShowPullRequestPage
    steering: AnswerInbox
    inbox: Inbox
    wake: Wake
    entrust: Entrust

    async def task_news(self, stored: Stored) -> None:
        await self.stop.on(stored)
        await self.inbox.over(stored)
        await self.entrust.over(stored)


def subscribe_named(inlet: Inlet, named: Sandboxes) -> None:
    """Declare what is heard about named sandboxes."""
    inlet.command("sandbox", EnsureSandbox, named.answer.ensure, stores=True)
    inlet.command("sandbox", StartSandbox, named.answer.start, stores=True)
    inlet.command("sandbox", StopSandbox, named.answer.stop, stores=True)
    inlet.command("sandbox", DeleteSandbox, named.answer.delete, stores=True)
    inlet.command("sandbox", TouchSandbox, named.answer.touch, stores=True)
    inlet.command("sandbox", GetSandbox, named.answer.get)
    inlet.command("sandbox", ListSandboxes, named.pages.list)
    inlet.command("sandbox", SandboxUsage, named.pages.usage)
    inlet.command("sandbox", InvalidateImages, named.images.invalidate, stores=True)
    inlet.command("sandbox", GetImage, named.image_answer.get)
    inlet.facts("sandbox-named", subjects.SANDBOX, named.news.on, NEWS)
    inlet.timer("sandbox", "named", NamedDue, named.news.due)


def answer_others(inlet: Inlet, named: Sandboxes, providers: Iterable[str]) -> None:
    """Declare what services that have none of these providers ask of one that has; the same commands, under names of their own."""
    for service in map(service_at, providers):
        inlet.command(service, EnsureSandbox, named.answer.ensure_here, stores=True)
        inlet.command(service, GetImage, named.images.get)
        inlet.command(service, Ping, named.hosts.pong)


def subscribe_images(inlet: Inlet, named: Sandboxes) -> None:
    """Have images built here; who does not, waits for those that others build."""
    inlet.facts("sandbox-images", subjects.IMAGE, named.image_news.on, IMAGE_NEWS)


def subscribe(inlet: Inlet, answers: Answers) -> None:
    """Declare every subscription of the sandbox service; released work is taken in `wiring`."""
    inlet.command("sandbox", ShowPullRequest, answers.page.answer)
    inlet.command("sandbox", SayToAgent, answers.steering.say, stores=True)
    inlet.command("sandbox", EditMessage, answers.steering.edit, stores=True)
    inlet.command("sandbox", WithdrawMessage, answers.steering.withdraw, stores=True)
    inlet.command("sandbox", ReorderMessages, answers.steering.reorder, stores=True)
    inlet.command("sandbox", SteerRun, answers.steering.steer, stores=True)
    inlet.command("sandbox", ListMessages, answers.steering.list)
    inlet.facts("sandbox-tasks", "task", answers.task_news, (TaskStopRequested, *ENDS), Elsewhere(bare))
    inlet.timer("sandbox", "look", LookDue, answers.wake.due)


def bare(asked: Assignment) -> bool:
    """Whether a task leaves nothing here: it came without a token, and its agent is spoken to, and stopped, by others."""
    return asked.executor is not Executor.SANDBOX and asked.credential is None
