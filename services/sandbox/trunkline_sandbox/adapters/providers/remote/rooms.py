"""A sandbox in a cloud with our porter in it: found or made by its id, woken, laid out, and asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError

from trunkline.contracts.errors import Conflict, DomainError, Exhausted, Invalid, NotFound, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local.setting_up import bundle, runner_source
from trunkline_sandbox.adapters.providers.remote.cloud import Cloud, Machine
from trunkline_sandbox.adapters.providers.remote.inside.porter import ANSWER
from trunkline_sandbox.adapters.providers.remote.machines import Machines
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.ports import Limits, SandboxSpec

T = TypeVar("T")
log = structlog.get_logger(__name__)
TRIES: Final = 4
_INSIDE = ("parcel.py", "runs.py", "ending.py", "telling.py", "starting.py", "porter.py")
_KINDS: Final[dict[str, type[DomainError]]] = {
    "RUN_NOT_FOUND": NotFound, "START_STOPPED": Conflict, "SANDBOX_RUNNING": Conflict, "PROGRAM_ENDED": Conflict,
    "STDIN_CLOSED": Conflict, "TOLD_TOO_MUCH": Exhausted, "BAD_HOME_FILE": Invalid, "BAD_WORKSPACE": Invalid,
}  # fmt: skip


class Answer(BaseModel):
    """What the porter says; only what was asked for is there."""

    refused: str = ""
    why: str = ""
    record: Limits | None = None
    path: str = ""
    cores: int = 1
    data: str = ""
    over: bool = False
    size: int = 0
    told: frozenset[str] = frozenset()
    given: str = ""
    porter: str = ""
    runner: str = ""


_ANSWER = TypeAdapter(Answer)


@dataclass(frozen=True, slots=True)
class Scripts:
    """What is carried inside, by a name that says which version it is."""

    porter: str
    porter_name: str
    runner: str
    runner_name: str

    @property
    def names(self) -> tuple[str, str]:
        return self.porter_name, self.runner_name


def scripts() -> Scripts:
    here = Path(__file__).parent / "inside"
    porter, runner = bundle([(here / name).read_text() for name in _INSIDE]), runner_source()
    return Scripts(porter, f"porter-{_digest(porter)}.py", runner, f"runner-{_digest(runner)}.py")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Room:
    """A sandbox that was up and laid out when we last looked; before it is laid out it has no limits."""

    cloud: Cloud
    machine: Machine
    base: str
    scripts: Scripts
    porter_s: float
    limits: Limits = field(default_factory=Limits)
    path: str = ""
    cores: int = 1

    def command(self, *words: str) -> str:
        """A porter's call as a line for a shell, whichever it is; nothing that is secret may be among the words."""
        return shlex.join(["python3", "-I", "-S", "-E", f"{self.base}/{self.scripts.porter_name}", *words])

    async def ask(self, *words: str, seconds: float = 0.0, before: str = "") -> Answer:
        """Within `seconds`; 0: as long as small things may take. `before`: a line for the shell that has to go well first.

        Raises what the porter refuses with; Unavailable PORTER_SILENT.
        """
        said = await self.cloud.run(self.machine, before + self.command(*words), seconds or self.porter_s)
        answer = read_answer(said)
        if answer is None:
            raise Unavailable(f"The porter in {self.machine.name} does not answer: {said[-300:].strip()!r}.", code="PORTER_SILENT")
        if answer.refused:
            kind = _KINDS.get(answer.refused, Unavailable)
            raise kind(f"In sandbox {self.machine.name}: {answer.why}.", code=answer.refused)
        return answer

    async def absent(self, paths: list[str]) -> list[str]:
        """Those of them that are not in the sandbox, or cannot be run or entered."""
        if not paths:
            return []
        looks = "; ".join(f"test -x {word} && echo {word}" for word in map(shlex.quote, paths))
        there = (await self.cloud.run(self.machine, f"{looks}; true", self.porter_s)).splitlines()
        return [path for path in paths if path not in there]

    async def put(self, files: Mapping[str, bytes | Path]) -> None:
        """By their path below the base."""
        await self.cloud.put(self.machine, {f"{self.base}/{name}": data for name, data in files.items()})


def read_answer(said: str) -> Answer | None:
    """The last line of what was printed that is an answer; a shell's greetings come before it."""
    for line in reversed(said.splitlines()):
        if line.startswith(ANSWER):
            try:
                return _ANSWER.validate_json(line.removeprefix(ANSWER))
            except ValidationError:
                return None
    return None


class Rooms:
    """All of them, by the ids of their sandboxes."""

    def __init__(self, cloud: Cloud, machines: Machines, options: RemoteOptions) -> None:
        self._cloud, self._machines, self._options = cloud, machines, options
        self._scripts = scripts()
        self._known: dict[SandboxId, Room] = {}
        self._entering: dict[SandboxId, asyncio.Lock] = {}

    async def ensure(self, spec: SandboxSpec) -> Room:
        """Found or made. Raises Unavailable, Exhausted, Invalid, Denied."""
        async with self._entering.setdefault(spec.id, asyncio.Lock()):
            machine, known = await self._machines.ensure(spec), self._known.get(spec.id)
            if known and known.machine.id == machine.id:
                return known
            room = self._known[spec.id] = await self._laid_out(machine, spec.limits)
            return room

    async def within(self, id: SandboxId, call: Callable[[Room], Awaitable[T]]) -> T:
        """Do something in a sandbox that is there; it may be done more than once. Raises NotFound and what `call` raises."""
        for attempt in range(1, TRIES + 1):
            try:
                return await call(await self._enter(id))
            except DomainError as error:
                if not self.passes(error) or attempt == TRIES:
                    raise
                log.info("cloud.repeated", cloud=self._cloud.vendor.id, sandbox=id, code=error.code, attempt=attempt)
                self._known.pop(id, None)
                await asyncio.sleep(self.pause(attempt, error))
        raise AssertionError("the last attempt returns or raises")

    def passes(self, error: DomainError) -> bool:
        return self._cloud.vendor.passes(error)

    def pause(self, attempt: int, error: DomainError) -> float:
        return self._options.pause(attempt, error)

    async def _enter(self, id: SandboxId) -> Room:
        async with self._entering.setdefault(id, asyncio.Lock()):
            if id not in self._known:
                self._known[id] = await self._laid_out(await self._machines.awake(id))
            return self._known[id]

    def forget(self, id: SandboxId) -> None:
        self._known.pop(id, None)
        self._entering.pop(id, None)

    async def _laid_out(self, machine: Machine, limits: Limits | None = None) -> Room:
        """With the porter in its place, carried there if it is not; `limits` are kept inside where none are yet."""
        room = Room(self._cloud, machine, f"{await self._cloud.home(machine)}/.trunkline", self._scripts, self._options.porter_s)
        made = Answer() if machine.fresh else await self._made(room)
        if made.record is None:
            made = await self._carry_in(room, limits)
        if made.record is None:
            raise NotFound(f"Sandbox {machine.name} was never finished; make it again.", code="SANDBOX_NOT_FOUND")
        compiled = replace(self._scripts, porter_name=made.porter or room.scripts.porter_name, runner_name=made.runner)
        return replace(room, scripts=compiled, limits=made.record, path=made.path, cores=made.cores)

    async def _made(self, room: Room) -> Answer:
        try:
            return await room.ask("make", *self._scripts.names)
        except Unavailable as error:
            if error.code != "PORTER_SILENT":
                raise
            return Answer()

    async def _carry_in(self, room: Room, limits: Limits | None) -> Answer:
        """Beside their places first, for another service may carry in the same just now."""
        files = {self._scripts.porter_name: self._scripts.porter, self._scripts.runner_name: self._scripts.runner}
        if limits is not None:
            files["record.new"] = json.dumps(asdict(limits))
        new = f".{secrets.token_hex(4)}"
        await room.put({name + new: text.encode() for name, text in files.items()})
        moves = "".join(shlex.join(["mv", "-f", f"{room.base}/{name}{new}", f"{room.base}/{name}"]) + " && " for name in files)
        return await room.ask("make", *self._scripts.names, *(["record.new"] if limits is not None else []), before=moves)
