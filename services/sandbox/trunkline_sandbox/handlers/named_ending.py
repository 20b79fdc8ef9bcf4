"""One start among several in a sandbox that is shared: ended, let stand still and forgotten without a word to the others."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.handlers.world import Job, World


@runtime_checkable
class Shared(Protocol):
    """A provider that can tell the starts of a sandbox apart; every call may be repeated."""

    async def end(self, id: SandboxId, key: str) -> None:
        """End this start and nothing else that runs inside."""
        ...

    async def hold(self, id: SandboxId, key: str, still: bool) -> None:
        """Let this start stand still, or go on. Raises Unavailable when it does not."""
        ...

    async def forget(self, id: SandboxId, key: str) -> None:
        """Remove what was kept of an ended start; one that runs, or never was, is left alone."""
        ...


async def end(world: World, job: Job, key: str = "") -> None:
    """End what the job runs in its sandbox, with a `key` that start of it.

    Where starts cannot be told apart, all that runs is ended, unless a `key` is given and another start runs.
    """
    provider = world.provider
    if job.named and isinstance(provider, Shared):
        await provider.end(job.sandbox_id, key or job.key(job.run.sitting))
    else:
        await provider.stop(job.sandbox_id, key)


async def hold(world: World, job: Job, key: str, still: bool) -> None:
    """Let the job's program stand still, or go on."""
    provider = world.provider
    if job.named and isinstance(provider, Shared):
        await provider.hold(job.sandbox_id, key, still)
    else:
        await (provider.freeze if still else provider.thaw)(job.sandbox_id)
