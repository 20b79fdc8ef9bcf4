"""Templates at E2B by its own SDK: built from a Dockerfile, looked at and deleted; and the log of their build."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from trunkline.contracts.errors import NotFound
from trunkline_sandbox.adapters.providers.e2b.cloud import E2bCloud
from trunkline_sandbox.adapters.providers.e2b.failures import E2B
from trunkline_sandbox.adapters.providers.remote.contexts import carries
from trunkline_sandbox.adapters.providers.remote.image_cloud import Build, State, prefix
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.model.cloud_steps import Builder

if TYPE_CHECKING:
    from e2b.api.client.client import AuthenticatedClient
    from e2b.api.client.models import Error, Template, TemplateBuild
    from e2b.api.client.types import Response
    from e2b.template.types import TemplateBuildStatusResponse

T = TypeVar("T")
PAGE: Final = 100
MOST_PAGES: Final = 50
MOST_ASKED: Final = 200
"""Pieces of a log in one look; the next look goes on."""
_STATES: Final[dict[str, State]] = {"ready": "ready", "error": "failed"}
_WAITS: Final = "waiting"
_DROPPED: Final = frozenset("mount network security device link exclude parents keep-git-dir checksum unpack platform".split())


class E2bImages:
    """image_cloud.ImageCloud, by the account of `cloud`."""

    vendor = E2B
    builder = Builder(
        "E2B",
        stages=False,
        refused=frozenset({"ADD", "SHELL", "HEALTHCHECK", "STOPSIGNAL", "ONBUILD"}),
        passed_over=_DROPPED,
    )

    def __init__(self, cloud: E2bCloud, options: RemoteOptions) -> None:
        self._cloud, self._options = cloud, options

    async def begin(self, name: str, dockerfile: Path) -> None:
        """Returns once the build was set going. Raises Invalid E2B_REFUSED."""
        call = self._options.move_s if carries(dockerfile) else self._options.call_s

        async def begun() -> None:
            from e2b import AsyncTemplate

            template = await asyncio.to_thread(AsyncTemplate(dockerfile.parent).from_dockerfile, str(dockerfile))
            await AsyncTemplate.build_in_background(template, name, **self._cloud.params(call))

        await self._cloud.asked("build a template", call + self._options.call_s, begun)

    async def find(self, name: str) -> Build | None:
        """By its newest build. One that was never set going has nothing to do, and never will."""

        async def found() -> Build:
            from e2b.api.client.api.templates import get_templates_template_id

            template = await self._told(lambda client: get_templates_template_id.asyncio_detailed(name, client=client))
            newest = max(template.builds, key=lambda one: one.created_at, default=None)
            state = newest.status.value if newest else _WAITS
            build = Build(template.template_id, name, _STATES.get(state, "building"), begun=state != _WAITS, handle=newest)
            return replace(build, why=await self._why(build)) if build.state == "failed" else build

        try:
            return await self._cloud.asked("look at a template", self._options.call_s, found)
        except NotFound:
            return None

    async def said(self, build: Build, known: int) -> Sequence[str]:
        """An entry of the log is a line, whatever is in it: entries are what E2B counts."""

        async def read() -> list[str]:
            lines: list[str] = []
            for _ in range(MOST_ASKED):
                more = (await self._status(build, known + len(lines))).log_entries
                lines += [entry.message.rstrip() for entry in more]
                if not more:
                    break
            return lines

        return await self._cloud.asked("read a log", self._options.call_s, read) if build.begun else ()

    async def wake(self, build: Build) -> None:
        """They never sleep."""

    async def images(self) -> list[Build]:
        mine = prefix(self._options.fleet)

        async def pages() -> list[Build]:
            found: list[Build] = []
            after: str | None = None
            for _ in range(MOST_PAGES):
                told, after = await self._page(after)
                named = [(one, name) for one in told for name in one.aliases if name.startswith(mine)]
                found += [Build(one.template_id, name, _STATES.get(one.build_status.value, "building")) for one, name in named]
                if not after:
                    break
            return found

        return await self._cloud.asked("list templates", self._options.call_s, pages)

    async def drop(self, build: Build) -> None:
        async def dropped() -> None:
            from e2b.api.client.api.templates import delete_templates_template_id

            await self._told(lambda client: delete_templates_template_id.asyncio_detailed(build.id, client=client))

        with suppress(NotFound):
            await self._cloud.asked("delete a template", self._options.call_s, dropped)

    async def _page(self, after: str | None) -> tuple[list[Template], str | None]:
        from e2b.api import handle_api_exception
        from e2b.api.client.api.templates import get_v2_templates
        from e2b.api.client.types import UNSET

        reply = await get_v2_templates.asyncio_detailed(client=self._client(), next_token=after or UNSET, limit=PAGE)
        if not isinstance(reply.parsed, list):
            raise handle_api_exception(reply)
        return reply.parsed, reply.headers.get("x-next-token")

    async def _status(self, build: Build, known: int) -> TemplateBuildStatusResponse:
        from e2b import AsyncTemplate, BuildInfo

        newest = cast("TemplateBuild", build.handle)
        info = BuildInfo(template_id=build.id, build_id=str(newest.build_id), alias=build.name, name=build.name, tags=[])
        told = await AsyncTemplate.get_build_status(info, known, **self._cloud.params(self._options.call_s))
        return cast("TemplateBuildStatusResponse", told)  # the SDK does not type it

    async def _why(self, build: Build) -> str:
        reason = (await self._status(build, 0)).reason
        return f"{reason.message} (step {reason.step})" if reason and reason.step else reason.message if reason else ""

    async def _told(self, call: Callable[[AuthenticatedClient], Awaitable[Response[Error | T]]]) -> T:
        """The SDK has no call of its own for these. Raises what it raises."""
        from e2b.api import handle_api_exception

        reply = await call(self._client())
        if reply.status_code >= 300:
            raise handle_api_exception(reply)
        return cast("T", reply.parsed)

    def _client(self) -> AuthenticatedClient:
        from e2b.api.client_async import get_api_client
        from e2b.connection_config import ConnectionConfig

        return get_api_client(ConnectionConfig(**self._cloud.params(self._options.call_s)))
