"""Snapshots at Daytona by its own SDK: made from a Dockerfile, looked at, woken and deleted; and the log of their build."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trunkline.contracts.errors import DomainError, NotFound
from trunkline.runtime.alongside import alongside
from trunkline_sandbox.adapters.providers.daytona.account import DaytonaAccount
from trunkline_sandbox.adapters.providers.daytona.cloud import DAYTONA, DaytonaCloud
from trunkline_sandbox.adapters.providers.remote.contexts import carries
from trunkline_sandbox.adapters.providers.remote.image_cloud import Build, State, prefix
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.model.cloud_steps import Builder

if TYPE_CHECKING:
    from daytona_api_client import SnapshotDto

PAGE: Final = 100
MOST_PAGES: Final = 50
LONGEST_LOG: Final = 8 << 20
"""Bytes; what is beyond is not read."""
_STATES: Final[dict[str, State]] = {"active": "ready", "inactive": "asleep", "error": "failed", "build_failed": "failed"}
_GOING: Final = "removing"


class DaytonaImages:
    """image_cloud.ImageCloud, by the connection of `cloud`."""

    vendor = DAYTONA
    builder = Builder("Daytona", stages=True)

    def __init__(self, cloud: DaytonaCloud, account: DaytonaAccount, options: RemoteOptions) -> None:
        self._cloud, self._account, self._options = cloud, account, options
        self._log = ("", "")
        """The build whose log was asked for last, and where it lies."""

    async def begin(self, name: str, dockerfile: Path) -> None:
        """The SDK's call waits for the end of the build, and leaves a task of its own behind when it tells the log and is interrupted:

        it is let go as soon as the snapshot is there, and whoever waits looks for themselves.
        """
        client, seconds = await self._cloud.client(), self._options.move_s if carries(dockerfile) else self._options.call_s
        from daytona import CreateSnapshotParams, Image

        async def made() -> None:
            image = await asyncio.to_thread(Image.from_dockerfile, dockerfile, strict_context=True)
            await client.snapshot.create(CreateSnapshotParams(name=name, image=image), timeout=0)

        async def there() -> None:
            found: Build | None = None
            while found is None:
                await asyncio.sleep(min(0.5, self._options.look_s))
                with suppress(DomainError):  # the call that makes it says what is wrong
                    found = await self.find(name)

        await self._cloud.asked("build a snapshot", seconds, lambda: alongside(there(), made()))

    async def find(self, name: str) -> Build | None:
        """One that Daytona is removing is gone."""
        client = await self._cloud.client()
        try:
            return _build(await self._cloud.asked("look at a snapshot", self._options.call_s, lambda: client.snapshot.get(name)))
        except NotFound:
            return None

    async def said(self, build: Build, known: int) -> Sequence[str]:
        """While it is built the last line may not be whole yet; it is left for later."""
        if self._log[0] != build.id:
            self._log = (build.id, await self._cloud.asked("find a log", self._options.call_s, lambda: self._place_of_log(build.id)))
        text = await self._cloud.asked("read a log", self._options.call_s, lambda: self._read(self._log[1]))
        lines = [line.rstrip("\r") for line in text.split("\n")]
        if build.state == "building" or not lines[-1]:
            lines.pop()
        return lines[known:]

    async def wake(self, build: Build) -> None:
        client = await self._cloud.client()
        await self._cloud.asked("activate a snapshot", self._options.call_s, lambda: client.snapshot.activate(build.id))

    async def images(self) -> list[Build]:
        client = await self._cloud.client()

        async def pages() -> list[Build]:
            found: list[Build | None] = []
            for page in range(1, MOST_PAGES + 1):
                told = await client.snapshot.list(page=page, limit=PAGE)
                found += [_build(one) for one in told.items]
                if page >= told.total_pages:
                    break
            return [one for one in found if one and one.name.startswith(prefix(self._options.fleet))]

        return await self._cloud.asked("list snapshots", self._options.call_s, pages)

    async def drop(self, build: Build) -> None:
        client = await self._cloud.client()
        try:
            await self._cloud.asked("delete a snapshot", self._options.call_s, lambda: client.snapshot.delete(build.id))
        except NotFound:
            return

    async def _place_of_log(self, id: str) -> str:
        """The SDK has no call for it but in the one that makes."""
        from daytona_api_client_async import ApiClient, Configuration, SnapshotsApi

        async with ApiClient(Configuration(host=self._account.api_url)) as api:
            api.default_headers.update(self._headers())
            return str((await SnapshotsApi(api).get_snapshot_build_logs_url(id)).url)

    async def _read(self, url: str) -> str:
        """All of it so far."""
        import aiohttp

        data = bytearray()
        headers = self._headers()
        async with aiohttp.ClientSession(headers=headers, trust_env=True, raise_for_status=True) as session, session.get(url) as reply:
            async for piece in reply.content.iter_any():
                data += piece
                if len(data) > LONGEST_LOG:
                    break
        return data[:LONGEST_LOG].decode("utf-8", "replace")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._account.api_key}"}


def _build(told: SnapshotDto) -> Build | None:
    state = str(getattr(told.state, "value", told.state))
    if state == _GOING:
        return None
    return Build(told.id, told.name, _STATES.get(state, "building"), told.error_reason or "")
