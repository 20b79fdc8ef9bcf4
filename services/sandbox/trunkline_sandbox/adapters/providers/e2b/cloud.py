"""E2B by its own SDK, which is imported only when it is used; every call has a deadline and a typed error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from trunkline.bus.heeding import heeding
from trunkline.contracts.errors import DomainError, NotFound, Unavailable, Unsupported
from trunkline_sandbox.adapters.providers.e2b.account import E2bAccount
from trunkline_sandbox.adapters.providers.e2b.failures import E2B, translated
from trunkline_sandbox.adapters.providers.remote import pieces
from trunkline_sandbox.adapters.providers.remote.cloud import OURS, SANDBOX, Machine, Meaning, Wish, oldest_first
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions

if TYPE_CHECKING:
    from e2b import AsyncCommandHandle, AsyncSandbox, SandboxInfo, SandboxNetworkOpts
    from e2b.connection_config import ApiParams
    from e2b.sandbox.filesystem.filesystem import AsyncWriteEntry

T = TypeVar("T")
NO_SDK: Final = "The provider e2b needs the Python package of that name: `pip install 'trunkline[e2b]'`."
_EVERYTHING: Final = "0.0.0.0/0"
_MEANINGS: Final[Mapping[str, Meaning]] = {"running": "ready", "paused": "stopped"}


class E2bCloud:
    """cloud.Cloud: one account at E2B."""

    vendor = E2B

    def __init__(self, account: E2bAccount, options: RemoteOptions) -> None:
        self._account, self._options = account, options
        self._open: dict[str, AsyncSandbox] = {}
        """Sandboxes whose door we have the key of, by E2B's id."""

    async def close(self) -> None:
        """The SDK's connections are the whole program's; it has no way to end them."""
        self._open.clear()

    async def create(self, wish: Wish) -> Machine:
        """Returns when it answers. Raises Unavailable SANDBOX_NOT_READY when it is there and does not."""
        boot = self._options.boot_s

        async def made() -> AsyncSandbox:
            from e2b import AsyncSandbox

            return await AsyncSandbox.create(
                wish.image or self._account.template or None,
                timeout=self._life(wish.ttl_s),
                metadata=dict(wish.labels),
                allow_internet_access=None if wish.hosts else False,
                network=_network(wish.hosts),
                lifecycle={"on_timeout": "pause" if wish.keep else "kill"},
                idempotency_key=wish.key,
                **self.params(boot),
            )

        box = await self.asked("make a sandbox", boot + 5.0, made)
        self._open[box.sandbox_id] = box
        machine = Machine(box.sandbox_id, wish.name, "running", "ready", wish.labels, "", fresh=True)
        await self._answers(machine)
        return machine

    async def list(self, sandbox: str = "") -> list[Machine]:
        """Ours that are there, or those of one id; the oldest first."""
        labels = {OURS: self._options.fleet, **({SANDBOX: sandbox} if sandbox else {})}

        async def pages() -> list[Machine]:
            from e2b import AsyncSandbox, SandboxQuery

            paginator = AsyncSandbox.list(SandboxQuery(metadata=labels), **self.params(self._options.call_s))
            found: list[Machine] = []
            while paginator.has_next:
                found += [_machine(info) for info in await paginator.next_items()]
            return found

        return oldest_first(await self.asked("list sandboxes", self._options.call_s, pages), labels)

    async def get(self, id: str) -> Machine | None:
        async def looked() -> Machine:
            from e2b import AsyncSandbox

            return _machine(await AsyncSandbox.get_info(id, **self.params(self._options.call_s)))

        try:
            return await self.asked("look at a sandbox", self._options.call_s, looked)
        except NotFound:
            return None

    async def named(self, name: str) -> Machine | None:
        """They have no names."""
        return None

    async def wait(self, machine: Machine) -> Machine:
        """Until it answers, woken where it was put to rest. Raises Unavailable SANDBOX_NOT_READY, NotFound."""
        self._open.pop(machine.id, None)
        await self._box(machine)
        await self._answers(machine)
        return replace(machine, state="running", meaning="ready")

    async def halt(self, machine: Machine) -> None:
        """Put it to rest, with its memory: who stops it ends its programs first."""

        async def paused() -> bool:
            from e2b import AsyncSandbox

            return await AsyncSandbox.pause(machine.id, **self.params(self._options.boot_s))

        await self.asked("put a sandbox to rest", self._options.boot_s + 5.0, paused)
        self._open.pop(machine.id, None)

    async def delete(self, machine: Machine) -> None:
        """One that is gone is deleted."""

        async def killed() -> bool:
            from e2b import AsyncSandbox

            return await AsyncSandbox.kill(machine.id, **self.params(self._options.call_s))

        with suppress(NotFound):
            await self.asked("delete a sandbox", self._options.call_s, killed)
        self._open.pop(machine.id, None)

    async def home(self, machine: Machine) -> str:
        """The folder of its user, inside."""
        return (await self.run(machine, 'printf %s "$HOME"', self._options.call_s)).rstrip("/")

    async def run(self, machine: Machine, command: str, seconds: float) -> str:
        """What a command printed that ends within `seconds`; it carries nothing secret."""
        box, call = await self._box(machine), self._options.call_s

        async def ran() -> str:
            from e2b import CommandExitException

            try:
                done = await box.commands.run(command, timeout=seconds, request_timeout=call)
            except CommandExitException as ended:
                return f"{ended.stdout}{ended.stderr}"
            return f"{done.stdout}{done.stderr}"

        return await self.asked("work in a sandbox", seconds + call, ran)

    async def put(self, machine: Machine, files: Mapping[str, bytes | Path]) -> None:
        """Write files by their absolute path inside."""
        box, seconds = await self._box(machine), self._options.move_s
        wanted = [
            cast("AsyncWriteEntry", {"path": path, "data": pieces.read(it) if isinstance(it, Path) else it}) for path, it in files.items()
        ]
        await self.asked("carry files into a sandbox", seconds, lambda: box.files.write_files(wanted, request_timeout=seconds))

    async def fetch(self, machine: Machine, path: str, target: Path, most: int) -> None:
        """A file from inside. Raises Exhausted when it is more than `most` bytes."""
        box, seconds = await self._box(machine), self._options.move_s

        async def fetched() -> None:
            async with await box.files.read(path, "stream", request_timeout=seconds) as found:
                await pieces.keep(found, target, most)

        await self.asked("fetch a file from a sandbox", seconds, fetched)

    async def follow(self, machine: Machine, command: str, heard: Callable[[str], Awaitable[None]]) -> None:
        """As one command whose output is streamed; it is ended when nobody listens any more."""
        box = await self._box(machine)
        handle = await self.asked(
            "follow a command",
            self._options.call_s,
            lambda: box.commands.run(command, background=True, on_stdout=heard, timeout=0, retain_output=False),
        )
        try:
            await _over(handle)
        except BaseException:
            with suppress(DomainError):
                await self.asked("end a command", self._options.call_s, lambda: _left(handle))
            raise

    async def _box(self, machine: Machine) -> AsyncSandbox:
        """With the key of its door, which is asked for once; whoever asks wakes it and prolongs its life."""
        if (known := self._open.get(machine.id)) is not None:
            return known

        async def connected() -> AsyncSandbox:
            from e2b import AsyncSandbox

            return await AsyncSandbox.connect(machine.id, self._life(self._account.life_s), **self.params(self._options.boot_s))

        box = self._open[machine.id] = await self.asked("reach a sandbox", self._options.boot_s + 5.0, connected)
        return box

    async def _answers(self, machine: Machine) -> None:
        """Return when its door opens. Raises Unavailable SANDBOX_NOT_READY."""
        box, loop = await self._box(machine), asyncio.get_running_loop()
        end = loop.time() + self._options.boot_s
        while True:
            left = max(0.1, min(self._options.call_s, end - loop.time()))
            with suppress(Unavailable):
                if await self.asked("look whether a sandbox answers", left, box.is_running):
                    return
            if loop.time() > end:
                raise Unavailable(f"Sandbox {machine.name} is there and does not become ready.", code="SANDBOX_NOT_READY")
            await asyncio.sleep(min(0.5, self._options.pause_s))

    def _life(self, wanted: float) -> int:
        return max(1, int(min(wanted, self._account.life_s)))

    def params(self, seconds: float) -> ApiParams:
        """Repeating is ours: its own repeats would outlast our deadline."""
        account = self._account
        return {
            "api_key": account.api_key, "domain": account.domain, "api_url": account.api_url or None,
            "sandbox_url": account.sandbox_url or None, "debug": False, "request_timeout": seconds, "retries": 0,
        }  # fmt: skip

    async def asked(self, what: str, seconds: float, call: Callable[[], Awaitable[T]]) -> T:
        """A call's result within `seconds`; its errors are ours."""
        if sys.modules.get("e2b") is None:
            await asyncio.to_thread(_load)  # half a second of imports, beside the loop
        try:
            async with asyncio.timeout(seconds):
                return await heeding(call())  # pyqwest and others wait as nats-py does
        except DomainError:
            raise
        except Exception as error:  # the SDK lets through what the libraries below it raise
            raise translated(what, error) from error


def _network(hosts: tuple[str, ...]) -> SandboxNetworkOpts:
    """Nobody comes in by the addresses that E2B gives every port, which are open to all otherwise."""
    shut: SandboxNetworkOpts = {"allow_public_traffic": False}
    return {**shut, "allow_out": list(hosts), "deny_out": [_EVERYTHING]} if hosts else shut


def _load() -> None:
    try:
        import e2b  # noqa: F401  # so that it is there when the loop asks for it
    except ImportError as error:
        raise Unsupported(NO_SDK, code="NO_E2B_SDK") from error


async def _over(handle: AsyncCommandHandle[None]) -> None:
    """Return when the command has ended, however."""
    from e2b import CommandExitException

    try:
        await handle.wait()
    except CommandExitException:
        return
    except DomainError:
        raise
    except Exception as error:  # as above
        raise translated("follow a command", error) from error


async def _left(handle: AsyncCommandHandle[None]) -> None:
    await handle.disconnect()
    await handle.kill()


def _machine(info: SandboxInfo) -> Machine:
    state = str(getattr(info.state, "value", info.state))
    labels = {str(name): str(value) for name, value in info.metadata.items()}
    name = f"{labels.get(OURS, '')}-{labels.get(SANDBOX, info.sandbox_id)}"
    return Machine(info.sandbox_id, name, state, _MEANINGS.get(state, "error"), labels, info.started_at.isoformat())
