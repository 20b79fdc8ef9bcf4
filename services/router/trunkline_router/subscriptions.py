"""What the router hears."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.bus import AgentCalls, How, Inlet, Stored
from trunkline.bus.streams import SCHEDULES
from trunkline.contracts import subjects
from trunkline.contracts.agent import Answer, Approve, Ask, Beat, Claim, Follow, Publish, Report, Say, Submit
from trunkline.contracts.approval import RELEASE, ApprovalDecided
from trunkline.contracts.dispatch import DispatchGivenUp, WorkflowCancelTried, WorkflowRunSeen
from trunkline.contracts.forge import ReportPullRequest
from trunkline.contracts.instance import (
    AskInput,
    GetInstance,
    InstanceMoved,
    InstanceOpened,
    MoveInstance,
    OpenInstance,
    ReadInstance,
    SayAsInstance,
    SettleInput,
    TellInstance,
)
from trunkline.contracts.schedule import ChangeSchedule, CreateSchedule, DeleteSchedule, GetSchedule, ListSchedules, PauseSchedule
from trunkline.contracts.task import CancelTask, PublishEvent, ReportTask, SettleHold, SubmitTask
from trunkline_router.handlers.agent_asks import AgentAsking
from trunkline_router.handlers.agent_parts import AgentParts
from trunkline_router.handlers.agent_says import AgentSays
from trunkline_router.handlers.deadlines import Deadlines
from trunkline_router.handlers.dispatch_news import DispatchNews
from trunkline_router.handlers.hold_news import HoldNews
from trunkline_router.handlers.instance_clock import InstanceClock
from trunkline_router.handlers.instance_news import InstanceNews
from trunkline_router.handlers.lease_claims import Claims
from trunkline_router.handlers.lease_life import AgentReporting, LeaseClock, Pulses
from trunkline_router.handlers.one_by_one import each_in_its_trace
from trunkline_router.handlers.publish_event import PublishedEvents
from trunkline_router.handlers.pull_requests import PullRequestNews
from trunkline_router.handlers.room_news import NEWS as NEWS_OF_ROOMS
from trunkline_router.handlers.room_news import RoomNews
from trunkline_router.handlers.run_news import NEWS, RunNews
from trunkline_router.handlers.schedules import Schedules
from trunkline_router.handlers.stop_overdue import OverdueStop
from trunkline_router.handlers.task_effects import ACTED_ON, TaskEffects
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import RetryDue, SlaReached
from trunkline_router.ports import DuePull, DueRoom, DueSchedule, DueTask, DueTasks, InstanceDoor, InstanceEar


@dataclass(frozen=True, slots=True)
class Handlers:
    """Everybody who acts on what is heard."""

    life: TaskLife
    effects: TaskEffects
    runs: RunNews
    holds: HoldNews
    overdue: OverdueStop
    events: PublishedEvents
    deadlines: Deadlines
    pulls: PullRequestNews


@dataclass(frozen=True, slots=True)
class Agents:
    """Everybody who acts on what agents on NATS ask."""

    claims: Claims
    pulses: Pulses
    clock: LeaseClock
    reporting: AgentReporting
    says: AgentSays
    asking: AgentAsking
    parts: AgentParts


@dataclass(frozen=True, slots=True)
class Ear:
    """Everybody who acts on what is heard of instances."""

    news: InstanceNews
    dispatches: DispatchNews
    clock: InstanceClock

    async def moved(self, stored: Stored) -> None:
        await self.news.on(stored)

    async def dispatched(self, stored: Stored) -> None:
        await self.dispatches.on(stored)

    async def due(self, due: DueTasks) -> None:
        await self.clock.due(due)


def subscribe(inlet: Inlet, handlers: Handlers) -> None:
    """Declare every subscription of the router."""
    life = handlers.life

    async def deadline(due: DueTasks) -> None:
        await each_in_its_trace(due.tasks, handlers.deadlines.on)

    async def retry(due: DueTask) -> None:
        await life.happened(due, RetryDue(due.attempt))

    async def sla(due: DueTasks) -> None:
        await each_in_its_trace(due.tasks, lambda task: life.happened(task, SlaReached()))

    inlet.command("router", SubmitTask, life.submit, stores=True)
    inlet.command("router", CancelTask, life.cancel, stores=True)
    inlet.command("router", ReportTask, life.report, stores=True)
    inlet.command("router", SettleHold, handlers.holds.settle, stores=True)
    inlet.command("router", PublishEvent, handlers.events.publish, stores=True)
    inlet.command("router", ReportPullRequest, handlers.pulls.report, stores=True)
    inlet.facts("router-tasks", subjects.TASK, handlers.effects.on, ACTED_ON)
    inlet.facts("router-runs", "run", handlers.runs.on, NEWS)
    inlet.facts("router-approvals", subjects.approval_part(RELEASE), handlers.holds.on, (ApprovalDecided,))
    inlet.timer("router", "deadline", DueTasks, deadline)
    inlet.timer("router", "retry", DueTask, retry)
    inlet.timer("router", "sla", DueTasks, sla)
    inlet.timer("router", "stop", DueTask, handlers.overdue.on)
    inlet.timer("router", "pull", DuePull, handlers.pulls.again)


def subscribe_rooms(inlet: Inlet, news: RoomNews) -> None:
    """Declare what is heard of places."""
    inlet.facts("router-rooms", subjects.ROOM, news.on, NEWS_OF_ROOMS)
    inlet.timer("router", "place", DueRoom, news.due)


def subscribe_schedules(inlet: Inlet, schedules: Schedules) -> None:
    """Declare what is heard of schedules."""
    inlet.command("router", CreateSchedule, schedules.create, stores=True)
    inlet.command("router", ChangeSchedule, schedules.change, stores=True)
    inlet.command("router", PauseSchedule, schedules.pause, stores=True)
    inlet.command("router", DeleteSchedule, schedules.delete, stores=True)
    inlet.command("router", GetSchedule, schedules.get)
    inlet.command("router", ListSchedules, schedules.all)
    inlet.stored(SCHEDULES, "router-schedules", schedules.stored, How())
    inlet.timer("router", "schedule", DueSchedule, schedules.due, How(begins=True))


def subscribe_calls(calls: AgentCalls, agents: Agents) -> None:
    """Declare what agents on NATS may ask."""
    calls.gone(agents.claims.gone)
    calls.hear("claim", Claim, agents.claims.claim)
    calls.hear("beat", Beat, agents.pulses.beat)
    calls.hear("report", Report, agents.reporting.report)
    calls.hear("say", Say, agents.says.say)
    calls.hear("ask", Ask, agents.asking.ask)
    calls.hear("approve", Approve, agents.asking.approve)
    calls.hear("answer", Answer, agents.asking.answer)
    calls.hear("publish", Publish, agents.parts.publish)
    calls.hear("submit", Submit, agents.parts.submit)
    calls.hear("follow", Follow, agents.parts.follow)


def subscribe_leases(inlet: Inlet, clock: LeaseClock) -> None:
    """Declare what is heard of agents that may be silent."""

    async def silent(due: DueTasks) -> None:
        await each_in_its_trace(due.tasks, clock.due)

    inlet.timer("router", "lease", DueTasks, silent)


def subscribe_instances(inlet: Inlet, door: InstanceDoor, ear: InstanceEar) -> None:
    """Declare what is heard of agents that call home."""
    inlet.command("router", OpenInstance, door.open, stores=True)
    inlet.command("router", SayAsInstance, door.say, stores=True)
    inlet.command("router", TellInstance, door.tell, stores=True)
    inlet.command("router", AskInput, door.ask, stores=True)
    inlet.command("router", ReadInstance, door.read, stores=True)
    inlet.command("router", MoveInstance, door.move, stores=True)
    inlet.command("router", SettleInput, door.settle, stores=True)
    inlet.command("router", GetInstance, door.get)
    inlet.facts("router-instances", subjects.INSTANCE, ear.moved, (InstanceOpened, InstanceMoved))
    inlet.facts("router-dispatches", subjects.DISPATCH, ear.dispatched, (WorkflowRunSeen, DispatchGivenUp, WorkflowCancelTried))
    inlet.timer("router", "instance", DueTasks, ear.due)
