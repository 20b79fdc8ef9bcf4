"""Daytona by its own SDK: the one module that imports it, and only when it is used; every call has a deadline and a typed error."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from trunkline.bus.heeding import heeding
from trunkline.contracts.errors import DomainError, NotFound, Unavailable, Unsupported
from trunkline_sandbox.adapters.providers.daytona.account import DaytonaAccount
from trunkline_sandbox.adapters.providers.daytona.states import meaning
from trunkline_sandbox.adapters.providers.remote import pieces
from trunkline_sandbox.adapters.providers.remote.cloud import OURS, SANDBOX, Machine, Wish, oldest_first
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.adapters.providers.remote.vendor import Failure, Vendor, words

if TYPE_CHECKING:
    from daytona import AsyncDaytona, AsyncSandbox

T = TypeVar("T")
NO_SDK: Final = "The provider daytona needs the Python package of that name: `pip install 'trunkline[daytona]'`."
_CODES: Final[Mapping[Failure, str]] = {
    "away": "DAYTONA_AWAY", "timeout": "DAYTONA_TIMEOUT", "busy": "DAYTONA_BUSY", "denied": "DAYTONA_DENIED",
    "not_found": "DAYTONA_NOT_FOUND", "conflict": "DAYTONA_CONFLICT", "refused": "DAYTONA_REFUSED",
    "not_understood": "DAYTONA_NOT_UNDERSTOOD",
}  # fmt: skip
# It refuses what is asked of a sandbox that changes its state just now.
_PASSING: Final[tuple[Failure, ...]] = ("away", "timeout", "busy", "conflict", "not_found", "refused")
DAYTONA: Final = Vendor("daytona", "Daytona", "DAYTONA_API_KEY", _CODES, _PASSING)
_THEIRS: Final = "code-toolbox-language"


class DaytonaCloud:
    """cloud.Cloud: one account at Daytona. The SDK is loaded and opened by the first call, in the loop that makes it."""

    vendor = DAYTONA

    def __init__(self, account: DaytonaAccount, options: RemoteOptions) -> None:
        self._account, self._options = account, options
        self._client: AsyncDaytona | None = None
        self._opening = asyncio.Lock()

    async def client(self) -> AsyncDaytona:
        """The SDK's own, opened by the first call. Raises Unsupported NO_DAYTONA_SDK."""
        async with self._opening:
            if self._client is None:
                await asyncio.to_thread(_load)  # two seconds of imports, beside the loop
                self._client = _client(self._account)
        return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            async with asyncio.timeout(self._options.call_s):
                await client.close()  # type: ignore[no-untyped-call]  # the SDK types the rest

    async def create(self, wish: Wish) -> Machine:
        """Returns when it is ready. Raises Unavailable SANDBOX_NOT_READY when it is there and does not become so."""
        client, boot = await self.client(), self._options.boot_s
        from daytona import CreateSandboxFromSnapshotParams

        params = CreateSandboxFromSnapshotParams(
            name=wish.name,
            labels=dict(wish.labels),
            snapshot=wish.image or self._account.snapshot or None,
            auto_stop_interval=ceil(wish.idle_s / 60),
            ttl_minutes=int(wish.ttl_s // 60) + 1,
            network_block_all=not wish.hosts or None,
            domain_allow_list=",".join(wish.hosts) or None,
        )
        # The SDK's own deadline comes first: its error says which sandbox it left behind.
        made = await self.asked("make a sandbox", boot + 5.0, lambda: client.create(params, timeout=boot))
        return replace(_machine(made), fresh=True)

    async def list(self, sandbox: str = "") -> list[Machine]:
        """Ours that are there, or those of one id; the oldest first."""
        client = await self.client()
        from daytona import ListSandboxesQuery

        labels = {OURS: self._options.fleet, **({SANDBOX: sandbox} if sandbox else {})}

        async def pages() -> list[Machine]:
            return [_machine(one) async for one in client.list(ListSandboxesQuery(labels=labels))]

        found = await self.asked("list sandboxes", self._options.call_s, pages)
        return oldest_first(found, labels)

    async def get(self, name: str) -> Machine | None:
        """By id or name; None when it is not there."""
        client = await self.client()
        try:
            found = _machine(await self.asked("look at a sandbox", self._options.call_s, lambda: client.get(name)))
        except NotFound:
            return None
        return None if found.meaning == "gone" else found

    async def named(self, name: str) -> Machine | None:
        return await self.get(name)

    async def wait(self, machine: Machine) -> Machine:
        """Until it is ready, started where it is stopped. Raises Unavailable SANDBOX_NOT_READY, NotFound."""
        machine = await self._settled(machine)
        if machine.meaning == "ready":
            return machine
        box, boot = _box(machine), self._options.boot_s
        wake = box.start if machine.meaning == "stopped" else box.wait_for_sandbox_start
        try:
            await self.asked("start a sandbox", boot + 5.0, lambda: wake(timeout=boot))
        except Unavailable as error:
            raise Unavailable(f"Sandbox {machine.name} does not become ready: {error.message}", code="SANDBOX_NOT_READY") from error
        return _machine(box)

    async def _settled(self, machine: Machine) -> Machine:
        """Once it is not on its way any more. Raises Unavailable SANDBOX_NOT_READY, NotFound."""
        for _ in range(int(self._options.boot_s / self._options.look_s)):
            if machine.meaning != "moving":
                return machine
            await asyncio.sleep(self._options.look_s)
            found = await self.get(machine.id)
            if found is None:
                raise NotFound(f"Sandbox {machine.name} is not there any more.", code="SANDBOX_NOT_FOUND")
            machine = found
        raise Unavailable(f"Sandbox {machine.name} has been {machine.state} for {self._options.boot_s:.0f} s", code="SANDBOX_NOT_READY")

    async def halt(self, machine: Machine) -> None:
        """Stop it as a machine is stopped: its files stay."""
        boot = self._options.boot_s
        await self.asked("stop a sandbox", boot + 5.0, lambda: _box(machine).stop(timeout=boot))

    async def delete(self, machine: Machine) -> None:
        """One that is gone is deleted."""
        try:
            await self.asked("delete a sandbox", self._options.call_s, lambda: _box(machine).delete(timeout=self._options.call_s))
        except NotFound:
            return

    async def home(self, machine: Machine) -> str:
        """The folder of its user, inside."""
        return (await self.asked("look into a sandbox", self._options.call_s, _box(machine).get_user_home_dir)).rstrip("/")

    async def run(self, machine: Machine, command: str, seconds: float) -> str:
        """What a command printed that ends within `seconds`; it carries nothing secret."""
        limit = int(seconds) + 1
        reply = await self.asked(
            "work in a sandbox", limit + self._options.call_s, lambda: _box(machine).process.exec(command, timeout=limit)
        )
        return reply.result or ""

    async def put(self, machine: Machine, files: Mapping[str, bytes | Path]) -> None:
        """Write files by their absolute path inside."""
        from daytona import FileUpload

        wanted = [FileUpload(str(data) if isinstance(data, Path) else data, path) for path, data in files.items()]
        seconds = self._options.move_s
        await self.asked("carry files into a sandbox", seconds, lambda: _box(machine).fs.upload_files(wanted, int(seconds)))

    async def fetch(self, machine: Machine, path: str, target: Path, most: int) -> None:
        """A file from inside. Raises Exhausted when it is more than `most` bytes."""
        fs, seconds = _box(machine).fs, self._options.move_s

        async def fetched() -> None:
            await pieces.keep(await fs.download_file_stream(path, int(seconds)), target, most)

        await self.asked("fetch a file from a sandbox", seconds, fetched)

    async def follow(self, machine: Machine, command: str, heard: Callable[[str], Awaitable[None]]) -> None:
        """In a session of its own, whose log is listened to: it is gone again when this returns."""
        session = f"trunkline-{secrets.token_hex(6)}"
        try:
            await self._listen(machine, session, await self._begin(machine, session, command), heard)
        finally:
            with suppress(DomainError):
                await self.asked("close a session", self._options.call_s, lambda: _box(machine).process.delete_session(session))

    async def _begin(self, machine: Machine, session: str, command: str) -> str:
        """Set a command going in a session; its id."""
        from daytona import SessionExecuteRequest

        process, seconds = _box(machine).process, self._options.call_s
        await self.asked("open a session", seconds, lambda: process.create_session(session))
        request = SessionExecuteRequest(command=command, run_async=True, suppress_input_echo=True)
        reply = await self.asked("work in a session", seconds, lambda: process.execute_session_command(session, request))
        return reply.cmd_id or ""

    async def _listen(self, machine: Machine, session: str, command: str, heard: Callable[[str], Awaitable[None]]) -> None:
        async def nobody(_: str) -> None:
            return None

        try:
            await _box(machine).process.get_session_command_logs_async(session, command, heard, nobody)
        except Exception as error:  # the SDK lets through what the libraries below it raise
            raise _translated("follow a log", error) from error

    async def asked(self, what: str, seconds: float, call: Callable[[], Awaitable[T]]) -> T:
        """A call's result within `seconds`; its errors are ours."""
        try:
            async with asyncio.timeout(seconds):
                return await heeding(call())  # the SDK may wait as nats-py does
        except DomainError:
            raise
        except Exception as error:  # as above
            raise _translated(what, error) from error


def _load() -> None:
    try:
        import daytona  # noqa: F401  # so that it is there when the loop asks for it
    except ImportError as error:
        raise Unsupported(NO_SDK, code="NO_DAYTONA_SDK") from error


def _client(account: DaytonaAccount) -> AsyncDaytona:
    from daytona import AsyncDaytona, DaytonaConfig

    return AsyncDaytona(DaytonaConfig(api_key=account.api_key, api_url=account.api_url, target=account.target or None, otel_enabled=False))


def _machine(box: AsyncSandbox) -> Machine:
    state = str(getattr(box.state, "value", box.state))
    labels = {name: value for name, value in (box.labels or {}).items() if name != _THEIRS}
    return Machine(box.id, box.name, state, meaning(state), labels, str(box.created_at or ""), box)


def _box(machine: Machine) -> AsyncSandbox:
    return cast("AsyncSandbox", machine.handle)


def _translated(what: str, error: Exception) -> DomainError:
    """Daytona's words for what went wrong, in ours."""
    from daytona import DaytonaError, DaytonaTimeoutError

    said = f"Daytona could not {what}: {words(error)}"
    if isinstance(error, DaytonaTimeoutError) and error.sandbox_id:
        return Unavailable(said, code="SANDBOX_NOT_READY")
    if isinstance(error, TimeoutError | DaytonaTimeoutError):
        return DAYTONA.failure("timeout", said)
    if isinstance(error, DaytonaError):
        return DAYTONA.by_status(said, error.status_code, _seconds(error.headers))
    if isinstance(error, OSError):
        return DAYTONA.failure("away", said)
    return _foreign(said, error)


def _foreign(said: str, error: Exception) -> DomainError:
    """What the SDK lets through from the libraries below it: broken connections, and replies that are none."""
    import aiohttp
    import httpx
    from daytona_api_client_async import ApiException

    if isinstance(error, ApiException):
        return DAYTONA.by_status(said, error.status, _seconds(dict(error.headers or {})))
    if isinstance(error, aiohttp.ClientResponseError):
        return DAYTONA.by_status(said, error.status, _seconds(dict(error.headers or {})))
    if isinstance(error, aiohttp.ClientError | httpx.HTTPError):
        return DAYTONA.failure("away", said)
    return DAYTONA.failure("not_understood", said)


def _seconds(headers: Mapping[str, object]) -> int | None:
    found = next((str(value) for name, value in headers.items() if name.lower() == "retry-after"), "")
    return int(found) if found.isdigit() else None
