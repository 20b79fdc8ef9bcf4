"""Images of an emulated cloud: a home that real commands of this machine were run in, step by step, with a log."""

from __future__ import annotations

import asyncio
import io
import tarfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from trunkline.testing.fake_cloud.faults import Faults
from trunkline.testing.fake_cloud.places import Place

BUILD: Final = "build"
"""The call whose faults decide what becomes of a build."""


@dataclass(frozen=True, slots=True)
class Step:
    """`RUN`: a line for the shell. `COPY`: names in `archive`, and where to below the home. Others are told in the log and no more."""

    word: str
    rest: str
    archive: bytes = b""


@dataclass(slots=True)
class Image:
    """One image. `state` is in no cloud's words: waiting, building, ready, failed, asleep."""

    id: str
    name: str
    place: Place
    state: str = "waiting"
    why: str = ""
    lies: bool = False
    log: list[str] = field(default_factory=list)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def told(self) -> str:
        return "ready" if self.lies else self.state


@dataclass(slots=True)
class Builds:
    """All images of one emulated account, by their names."""

    faults: Faults
    build_s: float = 0.0
    images: dict[str, Image] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    """The names of the builds that were begun, as often as they were."""
    _building: set[asyncio.Task[None]] = field(default_factory=set)

    def seen(self, wanted: str, call: str) -> Image:
        """By id or name. Raises KeyError."""
        image = next((one for one in self.images.values() if wanted in (one.id, one.name)), None)
        if image is not None and self.faults.strikes(call, "vanish"):
            self.drop(image)
            image = None
        if image is None:
            raise KeyError(wanted)
        return image

    def drop(self, image: Image) -> None:
        self.images.pop(image.name, None)
        image.place.remove()

    async def clear(self) -> None:
        """No build goes on, and nothing is left of any."""
        for task in self._building:
            task.cancel()
        for image in self.images.values():
            image.place.remove()
        await asyncio.gather(*self._building, return_exceptions=True)

    def start(self, image: Image, steps: tuple[Step, ...]) -> None:
        task = asyncio.create_task(self._build(image, steps))
        self._building.add(task)
        task.add_done_callback(self._building.discard)

    async def _build(self, image: Image, steps: tuple[Step, ...]) -> None:
        """Returns when it is built or failed; never where that is armed."""
        self.begun.append(image.name)
        image.state, image.lies = "building", self.faults.strikes(BUILD, "lies")
        image.place.lay_out()
        until = time.monotonic() + self.build_s
        try:
            for number, step in enumerate(steps, 1):
                image.log.append(f"Step {number}/{len(steps)} : {step.word} {step.rest}")
                await self._done(image, step)
        except _StepFailed as failed:
            image.state, image.why = "failed", str(failed)
            return
        await asyncio.sleep(until - time.monotonic())
        if self.faults.strikes(BUILD, "fails"):
            image.state, image.why = "failed", "the builder broke"
        elif not self.faults.strikes(BUILD, "never_ready") and not image.lies:
            image.state = "ready"

    async def _done(self, image: Image, step: Step) -> None:
        if step.word == "COPY":
            *names, target = step.rest.split()
            _copied(image.place, names, target, step.archive)
        elif step.word == "RUN":
            running = await image.place.spawn(("/bin/sh", "-c", step.rest))
            out, err = await running.communicate()
            image.log += (out + err).decode("utf-8", "replace").splitlines()
            if running.returncode:
                raise _StepFailed(f"the command '{step.rest}' returned a non-zero code: {running.returncode}")


class _StepFailed(Exception):
    """What the builder says of it."""


def _copied(place: Place, names: list[str], target: str, archive: bytes) -> None:
    """From what was carried here, below the home whatever the target says."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as packed:
        for member in (member for member in packed.getmembers() if member.isfile()):
            source = packed.extractfile(member)
            assert source is not None
            path = place.home / _lies(member.name.removeprefix("./"), names, target)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read())


def _lies(name: str, names: list[str], target: str) -> str:
    """What is in a folder lies in the target; a file lies there under its own name, or alone under the target's."""
    into = target.strip("/.")
    folders = [f"{one.strip('/.')}/" for one in names]
    inner = next((name.removeprefix(folder) for folder in folders if name.startswith(folder)), "")
    if not inner and into and len(names) == 1 and not target.endswith("/"):
        return into
    return f"{into}/{inner or name.rpartition('/')[2]}".lstrip("/")


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
