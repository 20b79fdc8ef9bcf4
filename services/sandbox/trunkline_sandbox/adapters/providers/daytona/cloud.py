"""Daytona by its own SDK: the one module that imports it, and only when it is used; every call has a deadline and a typed error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from trunkline.contracts.errors import Broken, Conflict, Denied, DomainError, Exhausted, Invalid, NotFound, Unavailable, Unsupported
from trunkline_sandbox.adapters.providers.daytona.options import DaytonaOptions
from trunkline_sandbox.adapters.providers.daytona.states import Meaning, meaning

if TYPE_CHECKING:
    from daytona import AsyncDaytona, AsyncSandbox

T = TypeVar("T")
OURS: Final = "trunkline.fleet"
SANDBOX: Final = "trunkline.sandbox"
NO_SDK: Final = "The provider daytona needs the Python package of that name: `pip install 'trunkline[daytona]'`."
_AWAY = (408, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Machine:
    """A sandbox as Daytona tells of it."""

    id: str
    name: str
    state: str
    labels: Mapping[str, str]
    created: str
    handle: AsyncSandbox = field(repr=False, compare=False)
    fresh: bool = False
    """Made by this very call: nothing of ours is in it yet."""

    @property
    def meaning(self) -> Meaning:
        return meaning(self.state)


@dataclass(frozen=True, slots=True)
class Wish:
    """A sandbox to be made. `ttl` in minutes, 0: for ever."""

    name: str
    labels: Mapping[str, str]
    ttl: int
    domains: tuple[str, ...]


class Cloud:
    """One account at Daytona. The SDK is loaded and opened by the first call, in the loop that makes it."""

    def __init__(self, options: DaytonaOptions) -> None:
        self._options = options
        self._client: AsyncDaytona | None = None
        self._opening = asyncio.Lock()

    async def _open(self) -> AsyncDaytona:
        async with self._opening:
            if self._client is None:
                await asyncio.to_thread(_load)  # two seconds of imports, beside the loop
                self._client = _client(self._options)
        return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            async with asyncio.timeout(self._options.call_s):
                await client.close()  # type: ignore[no-untyped-call]  # the SDK types the rest

    async def create(self, wish: Wish) -> Machine:
        """Returns when it is ready. Raises Unavailable SANDBOX_NOT_READY when it is there and does not become so."""
        client, boot = await self._open(), self._options.boot_s
        from daytona import CreateSandboxFromSnapshotParams

        params = CreateSandboxFromSnapshotParams(
            name=wish.name,
            labels=dict(wish.labels),
            snapshot=self._options.snapshot or None,
            auto_stop_interval=0,
            ttl_minutes=wish.ttl or None,
            network_block_all=not wish.domains or None,
            domain_allow_list=",".join(wish.domains) or None,
        )
        # The SDK's own deadline comes first: its error says which sandbox it left behind.
        made = await self._asked("make a sandbox", boot + 5.0, lambda: client.create(params, timeout=boot))
        return replace(_machine(made), fresh=True)

    async def list(self, sandbox: str = "") -> list[Machine]:
        """Ours that are there, or those of one id; the oldest first."""
        client = await self._open()
        from daytona import ListSandboxesQuery

        labels = {OURS: self._options.fleet, **({SANDBOX: sandbox} if sandbox else {})}

        async def pages() -> list[Machine]:
            return [_machine(one) async for one in client.list(ListSandboxesQuery(labels=labels))]

        found = await self._asked("list sandboxes", self._options.call_s, pages)
        return sorted((one for one in found if one.meaning != "gone" and _fits(one, labels)), key=lambda one: (one.created, one.id))

    async def get(self, name: str) -> Machine | None:
        """By id or name; None when it is not there."""
        client = await self._open()
        try:
            found = _machine(await self._asked("look at a sandbox", self._options.call_s, lambda: client.get(name)))
        except NotFound:
            return None
        return None if found.meaning == "gone" else found

    async def wait(self, machine: Machine) -> Machine:
        """Until it is ready, started where it is stopped. Raises Unavailable SANDBOX_NOT_READY, NotFound."""
        box, boot = machine.handle, self._options.boot_s
        wake = box.start if machine.meaning == "stopped" else box.wait_for_sandbox_start
        try:
            await self._asked("start a sandbox", boot + 5.0, lambda: wake(timeout=boot))
        except Unavailable as error:
            raise Unavailable(f"Sandbox {machine.name} does not become ready: {error.message}", code="SANDBOX_NOT_READY") from error
        return _machine(box)

    async def halt(self, machine: Machine) -> None:
        """Stop it as a machine is stopped: its files stay."""
        boot = self._options.boot_s
        await self._asked("stop a sandbox", boot + 5.0, lambda: machine.handle.stop(timeout=boot))

    async def delete(self, machine: Machine) -> None:
        """One that is gone is deleted."""
        try:
            await self._asked("delete a sandbox", self._options.call_s, lambda: machine.handle.delete(timeout=self._options.call_s))
        except NotFound:
            return

    async def home(self, machine: Machine) -> str:
        """The folder of its user, inside."""
        return (await self._asked("look into a sandbox", self._options.call_s, machine.handle.get_user_home_dir)).rstrip("/")

    async def run(self, machine: Machine, command: str, seconds: float) -> str:
        """What a command printed that ends within `seconds`; it carries nothing secret."""
        limit = int(seconds) + 1
        reply = await self._asked(
            "work in a sandbox", limit + self._options.call_s, lambda: machine.handle.process.exec(command, timeout=limit)
        )
        return reply.result or ""

    async def put(self, machine: Machine, files: Mapping[str, bytes | Path]) -> None:
        """Write files by their absolute path inside."""
        from daytona import FileUpload

        wanted = [FileUpload(str(data) if isinstance(data, Path) else data, path) for path, data in files.items()]
        seconds = self._options.move_s
        await self._asked("carry files into a sandbox", seconds, lambda: machine.handle.fs.upload_files(wanted, int(seconds)))

    async def fetch(self, machine: Machine, path: str, target: Path, most: int) -> None:
        """A file from inside. Raises Exhausted when it is more than `most` bytes."""
        fs, seconds = machine.handle.fs, self._options.move_s

        async def fetched() -> None:
            size = 0
            with await asyncio.to_thread(target.open, "wb") as file:
                async for piece in await fs.download_file_stream(path, int(seconds)):
                    size += len(piece)
                    if size > most:
                        raise Exhausted("The workspace is larger than was agreed.", code="WORKSPACE_TOO_LARGE")
                    await asyncio.to_thread(file.write, piece)

        await self._asked("fetch a file from a sandbox", seconds, fetched)

    async def session(self, machine: Machine, session: str, command: str) -> str:
        """Set a command going in a session of its own; its id."""
        from daytona import SessionExecuteRequest

        process, seconds = machine.handle.process, self._options.call_s
        await self._asked("open a session", seconds, lambda: process.create_session(session))
        request = SessionExecuteRequest(command=command, run_async=True, suppress_input_echo=True)
        reply = await self._asked("work in a session", seconds, lambda: process.execute_session_command(session, request))
        return reply.cmd_id or ""

    async def log(self, machine: Machine, session: str, command: str, heard: Callable[[str], Awaitable[None]]) -> None:
        """Follow its output to its end, however long that is: whoever listens knows when it is silent for too long."""

        async def nobody(_: str) -> None:
            return None

        process = machine.handle.process
        try:
            await process.get_session_command_logs_async(session, command, heard, nobody)
        except Exception as error:  # the SDK lets through what the libraries below it raise
            raise _translated("follow a log", error) from error

    async def forget(self, machine: Machine, session: str) -> None:
        await self._asked("close a session", self._options.call_s, lambda: machine.handle.process.delete_session(session))

    async def _asked(self, what: str, seconds: float, call: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await call()
        except DomainError:
            raise
        except Exception as error:  # as above
            raise _translated(what, error) from error


def _load() -> None:
    try:
        import daytona  # noqa: F401  # so that it is there when the loop asks for it
    except ImportError as error:
        raise Unsupported(NO_SDK, code="NO_DAYTONA_SDK") from error


def _client(options: DaytonaOptions) -> AsyncDaytona:
    from daytona import AsyncDaytona, DaytonaConfig

    return AsyncDaytona(DaytonaConfig(api_key=options.api_key, api_url=options.api_url, target=options.target or None, otel_enabled=False))


def _machine(box: AsyncSandbox) -> Machine:
    state = getattr(box.state, "value", box.state)
    return Machine(box.id, box.name, str(state), dict(box.labels or {}), str(box.created_at or ""), box)


def _fits(machine: Machine, labels: Mapping[str, str]) -> bool:
    """Asked again here: what is not ours is never touched, whatever the list says."""
    return all(machine.labels.get(name) == value for name, value in labels.items())


def _translated(what: str, error: Exception) -> DomainError:
    """Daytona's words for what went wrong, in ours."""
    from daytona import DaytonaError, DaytonaTimeoutError

    said = f"Daytona could not {what}: {_words(error)}"
    if isinstance(error, DaytonaTimeoutError) and error.sandbox_id:
        return Unavailable(said, code="SANDBOX_NOT_READY")
    if isinstance(error, TimeoutError | DaytonaTimeoutError):
        return Unavailable(said, code="DAYTONA_TIMEOUT")
    if isinstance(error, DaytonaError):
        return _by_status(said, error.status_code, error.headers)
    if isinstance(error, OSError):
        return Unavailable(said, code="DAYTONA_AWAY")
    return _foreign(said, error)


def _foreign(said: str, error: Exception) -> DomainError:
    """What the SDK lets through from the libraries below it: broken connections, and replies that are none."""
    import aiohttp
    import httpx

    if isinstance(error, aiohttp.ClientResponseError):
        return _by_status(said, error.status, dict(error.headers or {}))
    if isinstance(error, aiohttp.ClientError | httpx.HTTPError):
        return Unavailable(said, code="DAYTONA_AWAY")
    return Broken(said, code="DAYTONA_NOT_UNDERSTOOD")


def _by_status(said: str, status: int | None, headers: Mapping[str, object]) -> DomainError:
    if status is None or status in _AWAY:
        return Unavailable(said, code="DAYTONA_AWAY")
    if status == 429:
        return Exhausted(said, code="DAYTONA_BUSY", retry_after=_seconds(headers))
    if status in (401, 403):
        return Denied(f"{said} Look at DAYTONA_API_KEY.", code="DAYTONA_DENIED")
    if status in (404, 410):
        return NotFound(said, code="DAYTONA_NOT_FOUND")
    return Conflict(said, code="DAYTONA_CONFLICT") if status == 409 else Invalid(said, code="DAYTONA_REFUSED")


def _seconds(headers: Mapping[str, object]) -> int:
    found = next((str(value) for name, value in headers.items() if name.lower() == "retry-after"), "")
    return int(found) if found.isdigit() else 1


def _words(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip()[:300].rstrip(".") + "."
