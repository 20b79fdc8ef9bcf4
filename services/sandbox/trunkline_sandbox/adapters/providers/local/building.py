"""Builds images on this machine: in a sandbox of the provider's own, step by step, so that whoever is ended goes on where it stood."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import images, trees
from trunkline_sandbox.adapters.providers.local.places import place
from trunkline_sandbox.adapters.providers.local.profile import PATH
from trunkline_sandbox.adapters.providers.local.provider import LocalProvider
from trunkline_sandbox.adapters.providers.local.staging_copies import gather
from trunkline_sandbox.handlers.image_host import BUILD
from trunkline_sandbox.model.image import Recipe
from trunkline_sandbox.model.local_steps import CopyStep, Note, RunStep, Steps, steps
from trunkline_sandbox.ports import Exit, Launch, Limits, SandboxSpec

GIVEN: Final = {"PATH": PATH, "HOME": "/home/agent"}
COPY: Final = "/opt/agent/copy"
_IN: Final = 'mkdir -p -- "$1" && cd -- "$1" && shift && exec "$@"'
_TAKE: Final = 'mkdir -p -- "$2" && exec cp -RPp -- "$1"/. "$2"/'
_CAUSES: Final = {"wall": "it took too long", "memory": "it wanted too much memory", "disk": "it wrote too much"}


class LocalImages:
    """`context` is the folder of the Dockerfile; `limits` and `egress` are those of a build."""

    name = "local"

    def __init__(self, provider: LocalProvider, context: Path, limits: Limits, egress: tuple[str, ...] = ()) -> None:
        self._provider = provider
        self._context = context
        self._limits = limits
        self._egress = egress

    @property
    def site(self) -> str:
        return self._provider.site

    def check(self, recipe: Recipe) -> None:
        """Raises Invalid, Unsupported with the line."""
        _read(recipe)

    async def build(self, recipe: Recipe, name: str) -> AsyncIterator[str]:
        """Raises Invalid DOCKERFILE_STEP_FAILED with the line, Unavailable, Exhausted."""
        told = _read(recipe)
        if await self.has(name):
            return
        await self._clear(name)
        spec = SandboxSpec(_id(name), self._limits, {BUILD: name}, self._egress)
        isolation = (await self._provider.ensure(spec)).isolation
        yield f"building {name} in a sandbox of this machine ({isolation})"
        for number, step in enumerate(told.steps):
            yield f"line {step.line}: {step.text}"
            if not isinstance(step, Note):
                async for line in self._done(spec.id, number, step):
                    yield line
        await self._provider.stop(spec.id)
        await self._provider.take(spec.id)  # nothing runs in it any more
        await asyncio.to_thread(images.keep, self._provider.root, place(self._provider.root, spec.id), name, told.env)
        await self._provider.remove(spec.id)
        yield f"{name} is built"

    async def has(self, name: str) -> bool:
        return images.has(self._provider.root, name)

    async def discard(self, name: str) -> None:
        await self._provider.remove(_id(name))
        await asyncio.to_thread(images.discard, self._provider.root, name)

    async def _clear(self, name: str) -> None:
        """What builds left that nobody goes on with."""
        for sandbox in await self._provider.list():
            if sandbox.labels.get(BUILD, name) != name:
                await self.discard(sandbox.labels[BUILD])

    async def _done(self, id: SandboxId, number: int, step: RunStep | CopyStep) -> AsyncIterator[str]:
        launch = await (self._copying(id, number, step) if isinstance(step, CopyStep) else _running(number, step))
        await self._provider.start(id, launch)
        last = ""
        async for heard in self._provider.output(id, launch.key):
            if isinstance(heard, Exit):
                _look_at(heard, step, last)
            else:
                last = heard.data.decode(errors="replace").rstrip() or last
                yield heard.data.decode(errors="replace")

    async def _copying(self, id: SandboxId, number: int, step: CopyStep) -> Launch:
        tree = place(self._provider.root, id).dir / "copies" / str(number)
        folder = await asyncio.to_thread(gather, self._context, step, tree)
        await asyncio.to_thread(trees.give_away, tree, self._provider.owner(id))
        return Launch(_key(number), ("/bin/sh", "-c", _TAKE, "sh", COPY, folder), {}, tools={COPY: tree})


async def _running(number: int, step: RunStep) -> Launch:
    return Launch(_key(number), ("/bin/sh", "-c", _IN, "sh", step.workdir, *step.argv), step.env)


def _look_at(exit: Exit, step: RunStep | CopyStep, last: str) -> None:
    """Raises Invalid for a step that did not do it."""
    if exit.code == 0:
        return
    how = _CAUSES.get(exit.cause or "") or (f"it ended with {exit.code}" if exit.code is not None else f"it was ended ({exit.cause})")
    said = f"; its last words: {last[:500]}" if last else ""
    raise Invalid(f"line {step.line}: {step.text[:200]}: {how}{said}", code="DOCKERFILE_STEP_FAILED", line=step.line)


def _read(recipe: Recipe) -> Steps:
    return steps(recipe.text, GIVEN)


def _key(number: int) -> str:
    return f"step-{number}"


def _id(name: str) -> SandboxId:
    return SandboxId("image-" + hashlib.sha256(name.encode()).hexdigest()[:32])
