"""Keeping workspace and conversation while an agent works, so that another task may go on from there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from trunkline.contracts.errors import DomainError
from trunkline.contracts.run import AgentOutput, Said, SnapshotKept
from trunkline_sandbox.handlers.sitting import Sitting
from trunkline_sandbox.model.snapshots import Held, Snapshot
from trunkline_sandbox.ports import Keep

log = structlog.get_logger()

SETTLE_S: Final = 0.25
"""Seconds after which an agent has written its conversation down as far as it told of it."""
EVERY_S: Final = 5.0
SHARE: Final = 20
"""A snapshot that takes long is taken less often: at most this part of the time goes into them."""
MOST: Final = 500
"""Of one sitting, beside its last."""


class Keeper:
    """The snapshots of one sitting; where nothing is kept, nothing is done."""

    def __init__(self, sitting: Sitting, keep: Keep | None) -> None:
        self._sitting = sitting
        self._keep = keep
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._line = 0
        self._turns = 0
        self._taken = 0
        self._next = 0.0

    def hear(self, said: Sequence[AgentOutput], line: int) -> None:
        """A tool did something, or a turn is over: as it stands now it is worth keeping."""
        self._line = line
        turns = self._sitting.talk.turns
        if turns > self._turns or any(one.kind is Said.TOOL_RESULT for one in said):
            self._turns = turns
            self._wanted.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(max(SETTLE_S, self._next - time.monotonic()))
            if self._taken < MOST:
                await self._take()

    async def last(self) -> None:
        """As it stands at the end of the sitting, when no program is left."""
        await self._take(at_rest=True)

    async def _take(self, *, at_rest: bool = False) -> None:
        async with self._turn:
            self._wanted.clear()
            began, line = time.monotonic(), self._line
            snapshot = await self._kept(line) if self._keep else None
            took = time.monotonic() - began
            self._next = time.monotonic() + max(EVERY_S, SHARE * took)
            self._taken += 1
            if snapshot:
                told = self._told(snapshot, line).model_copy(update={"at_rest": at_rest})
                await self._sitting.append([told], "snapshot")
                log.info("snapshot.kept", snapshot=snapshot.name, took_ms=round(took * 1000))

    async def _kept(self, line: int) -> Snapshot | None:
        """What cannot be kept stops no run."""
        sitting = self._sitting
        run, job = sitting.run, sitting.job
        assert run.cloned and self._keep
        files = sitting.agent.session_files(sitting.talk) if sitting.resumable else ()
        held = Held(job.sandbox_id, run.cloned.commit, files)
        try:
            return await self._keep.keep(held, f"{run.attempt}-{sitting.number}-{line}", int(sitting.world.now().timestamp()))
        except DomainError as error:
            log.warning("snapshot.not_kept", error=error.message)
        except Exception:  # whatever an agent put into its workspace, it stops no run
            log.exception("snapshot.broke")
        return None

    def _told(self, snapshot: Snapshot, line: int) -> SnapshotKept:
        sitting = self._sitting
        session = sitting.talk.session if sitting.resumable else ""
        return SnapshotKept(
            attempt=sitting.run.attempt,
            sitting=sitting.number,
            line=line,
            snapshot=snapshot.name,
            commit=snapshot.commit,
            session=session,
        )
