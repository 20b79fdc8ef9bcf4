"""Before a push: whether what it would change, or how often, must be approved by somebody."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.bus import Limits, Refused, Rule, key_of
from trunkline.contracts.forge import one_name
from trunkline.telemetry import secret_shapes
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model import Run
from trunkline_sandbox.model.outgoing import Leak, OutgoingPolicy, reasons, too_many
from trunkline_sandbox.ports import Git

WINDOW_S: Final = 3601
"""An hour, and a second more: windows of up to an hour are forgotten when nats-server restarts."""
MOST_LEAKS: Final = 50
PUSH: Final = "push"
PULL_REQUESTS: Final = "pull_requests"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Why it must be approved; no reason: it need not be. `kind` is the sort of approval that is asked for."""

    reasons: tuple[str, ...] = ()
    kind: str = PUSH


class JudgePush:
    """Counts each run once, however often it is judged."""

    def __init__(self, git: Git, limits: Limits, policy: OutgoingPolicy) -> None:
        self._git = git
        self._limits = limits
        self._policy = policy
        self._rule = Rule(policy.pull_requests, WINDOW_S)

    async def __call__(self, job: Job, run: Run, bare: Path) -> Judgement:
        """`bare` holds the commit that is to be pushed. Raises BusAway."""
        assert run.cloned and run.committed
        base, commit = run.cloned.commit, run.committed.commit
        changed = [change.path for change in await self._git.changes(bare, base, commit)]
        leaks, unread = await self._searched(bare, base, commit)
        leaks += [Leak(path, 0, found.kind) for path in changed for found in secret_shapes.find(path)]
        found = reasons(changed, leaks, self._policy, unread=unread)
        crowded = (too_many(self._policy, job.assignment.repo),) if await self._crowded(job) else ()
        return Judgement((*found, *crowded), PUSH if found else PULL_REQUESTS)

    async def _crowded(self, job: Job) -> bool:
        await self._limits.ensure([self._rule])
        key = key_of("pull-requests", job.item.tenant, one_name(job.assignment.repo))
        return isinstance(await self._limits.hit(self._rule, key, id=f"pr:{job.item.tenant}:{job.item.task}"), Refused)

    async def _searched(self, bare: Path, base: str, commit: str) -> tuple[list[Leak], bool]:
        """What looks like a secret, and whether something was left unread."""
        leaks: list[Leak] = []
        async for line in self._git.added_lines(bare, base, commit):
            if line.number == 0:
                return leaks, True
            leaks += [Leak(line.path, line.number, found.kind) for found in secret_shapes.find(line.text.replace("\0", ""))]
            if len(leaks) >= MOST_LEAKS:
                break
        return leaks, False
