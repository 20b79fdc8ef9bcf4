"""Keeping workspace and conversation while an agent works, so that another task may go on from there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from trunkline.contracts.errors import Broken, DomainError
from trunkline.contracts.message import Fact
from trunkline.contracts.run import AgentOutput, Said, SnapshotKept, SnapshotMissed
from trunkline_sandbox.handlers.sitting import Sitting
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model import Talk
from trunkline_sandbox.model.snapshots import Held, Snapshot
from trunkline_sandbox.ports import Agent, Keep

log = structlog.get_logger()

SETTLE_S: Final = 0.25
"""Seconds after which an agent has written its conversation down as far as it told of it."""
EVERY_S: Final = 5.0
SHARE: Final = 20
"""A snapshot that takes long is taken less often: at most this part of the time goes into them."""
MOST: Final = 500
"""Of one sitting, beside its last."""
BROKE: Final = Broken("The workspace was not kept: Trunkline failed at it; its log says more.", code="SNAPSHOT_BROKE")


@dataclass(frozen=True, slots=True)
class Scene:
    """Whose workspace and conversation are to be kept, as far as its output was heard. `last`: no program is left."""

    job: Job
    agent: Agent
    talk: Talk
    line: int
    last: bool = False

    @property
    def session(self) -> str:
        return self.talk.session if self.agent.skill.resume else ""


def _held(scene: Scene) -> Held:
    run = scene.job.run
    assert run.cloned
    files = scene.agent.session_files(scene.talk) if scene.session else ()
    return Held(scene.job.sandbox_id, run.cloned.commit, files, scene.last)


async def kept(keep: Keep, scene: Scene, at: int) -> list[Fact]:
    """What came of keeping it, at `at` seconds since the epoch. What cannot be kept stops no run."""
    run, began = scene.job.run, time.monotonic()
    try:
        snapshot = await keep.keep(_held(scene), f"{run.attempt}-{run.sitting}-{scene.line}", at)
    except DomainError as error:
        log.warning("snapshot.not_kept", code=error.code, error=error.message)
        return [_missed(scene, error.code, error.message)]
    except Exception:  # whatever an agent put into its workspace, it stops no run
        log.exception("snapshot.broke")
        return [_missed(scene, BROKE.code, BROKE.message)]
    log.info("snapshot.kept", snapshot=snapshot.name, took_ms=round((time.monotonic() - began) * 1000))
    without = [_missed(scene, "CONVERSATION_TOO_LARGE", snapshot.without)] if snapshot.without else []
    return [_told(scene, snapshot), *without]


def _told(scene: Scene, snapshot: Snapshot) -> SnapshotKept:
    run = scene.job.run
    return SnapshotKept(
        attempt=run.attempt,
        sitting=run.sitting,
        line=scene.line,
        snapshot=snapshot.name,
        commit=snapshot.commit,
        session="" if snapshot.without else scene.session,
        at_rest=scene.last,
    )


def _missed(scene: Scene, code: str, reason: str) -> SnapshotMissed:
    run = scene.job.run
    return SnapshotMissed(attempt=run.attempt, sitting=run.sitting, code=code, reason=reason)


class Keeper:
    """The snapshots of one sitting; where nothing is kept, nothing is done."""

    def __init__(self, sitting: Sitting, keep: Keep | None) -> None:
        self._sitting = sitting
        self._keep = keep
        self._wanted = asyncio.Event()
        self._parting = asyncio.Event()
        self._turn = asyncio.Lock()
        self._line = 0
        self._turns = 0
        self._taken = 0
        self._next = 0.0
        self._missed: set[str] = set()

    def hear(self, said: Sequence[AgentOutput], line: int) -> None:
        """A tool did something, or a turn is over: as it stands now it is worth keeping."""
        self._line = line
        turns = self._sitting.talk.turns
        if turns > self._turns or any(one.kind is Said.TOOL_RESULT for one in said):
            self._turns = turns
            self._wanted.set()

    def part(self) -> None:
        """The program was told to end: what it leaves is about to be kept."""
        self._parting.set()
        self._wanted.set()

    async def run(self) -> None:
        """Until the program is told to end; while it does, what its last snapshot needs is done ahead."""
        while not self._parting.is_set():
            await self._wanted.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(SETTLE_S, self._next - time.monotonic())):
                    await self._parting.wait()
            if not self._parting.is_set() and self._taken < MOST:
                await self._sitting.append(await self._take(), "snapshot")
        await self._prepare()

    async def _prepare(self) -> None:
        """Whatever comes of it: the last snapshot tells."""
        if self._keep is None:
            return
        async with self._turn:
            try:
                await self._keep.prepare(_held(self._scene()), int(self._sitting.world.now().timestamp()))
            except Exception as error:
                log.info("snapshot.not_prepared", error=type(error).__name__)

    def _scene(self, *, at_rest: bool = False) -> Scene:
        return Scene(self._sitting.job, self._sitting.agent, self._sitting.talk, self._line, at_rest)

    async def last(self) -> list[Fact]:
        """As it stands at the end of the sitting, when no program is left; told in one record with that end."""
        return await self._take(at_rest=True)

    async def _take(self, *, at_rest: bool = False) -> list[Fact]:
        async with self._turn:
            self._wanted.clear()
            sitting, began = self._sitting, time.monotonic()
            scene = self._scene(at_rest=at_rest)
            facts = await kept(self._keep, scene, int(sitting.world.now().timestamp())) if self._keep else []
            self._next = time.monotonic() + max(EVERY_S, SHARE * (time.monotonic() - began))
            self._taken += 1
            return [fact for fact in facts if self._is_news(fact)]

    def _is_news(self, fact: Fact) -> bool:
        """What cannot be kept is said once, and not every few seconds."""
        if not isinstance(fact, SnapshotMissed):
            return True
        known = fact.code in self._missed
        self._missed.add(fact.code)
        return not known
