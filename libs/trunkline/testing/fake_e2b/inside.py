"""The daemon inside each emulated sandbox: commands with their output as a Connect stream, and files."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import struct
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import BodyPartReader, web
from pydantic import JsonValue

from trunkline.testing.fake_cloud.faults import CALL, FAULTS

if TYPE_CHECKING:
    from trunkline.testing.fake_e2b.boxes import Box
    from trunkline.testing.fake_e2b.server import FakeE2b

START: Final = "/process.Process/Start"
_ENVELOPE: Final = struct.Struct(">BI")
_LAST: Final = 2
_PIECE: Final = 1 << 16


class Inside:
    """What is asked with the key of one sandbox's door."""

    def __init__(self, fake: FakeE2b) -> None:
        self._fake = fake

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self.health, name="health"),
            web.post(START, self.start, name="exec"),
            web.post("/process.Process/SendSignal", self.signal, name="signal"),
            web.post("/files", self.upload, name="upload"),
            web.get("/files", self.download, name="download"),
        ]

    async def health(self, request: web.Request) -> web.Response:
        self._fake.running(request)
        return web.Response(status=204)

    async def start(self, request: web.Request) -> web.StreamResponse:
        box, asked = self._fake.running(request), json.loads((await request.read())[_ENVELOPE.size :])["process"]
        # Not as a login shell: the profile of this machine is not the sandbox's.
        words = (asked["cmd"], *(word for word in asked.get("args", []) if word != "-l"))
        running = await box.place.spawn(words, asked.get("envs"))
        box.commands[running.pid] = running
        answer = web.StreamResponse(headers={"Content-Type": "application/connect+json"})
        await answer.prepare(request)
        await self._tell(answer, {"start": {"pid": running.pid}})
        try:
            return await self._told(request, answer, running)
        finally:
            box.commands.pop(running.pid, None)

    async def _told(self, request: web.Request, answer: web.StreamResponse, running: asyncio.subprocess.Process) -> web.StreamResponse:
        """All that it says, then its end; a program whose listener leaves goes on."""
        async for name, data in _output(running):
            await self._tell(answer, {"data": {name: base64.b64encode(data).decode()}})
            if request.app[FAULTS].strikes("logs", "cut") if request[CALL] == "logs" else False:
                _cut(request)
                return answer
        code = await running.wait()
        await self._tell(answer, {"end": {"exitCode": code, "exited": code >= 0, "status": f"exit status {code}"}})
        await answer.write(_ENVELOPE.pack(_LAST, 2) + b"{}")
        await answer.write_eof()
        return answer

    async def _tell(self, answer: web.StreamResponse, event: dict[str, JsonValue]) -> None:
        said: dict[str, JsonValue] = {"event": event}
        self._fake.check("StartResponse", said)
        data = json.dumps(said).encode()
        await answer.write(_ENVELOPE.pack(0, len(data)) + data)

    async def signal(self, request: web.Request) -> web.Response:
        box, asked = self._fake.running(request), await request.json()
        pid = int(asked["process"]["pid"])
        if pid not in box.commands:
            return web.json_response({"code": "not_found", "message": f"process with pid {pid} not found"}, status=404)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        return web.json_response({})

    async def upload(self, request: web.Request) -> web.Response:
        box = self._fake.running(request)
        if request.content_type == "application/octet-stream":
            told = [await _written(box, request.query["path"], request.content.iter_chunked(_PIECE))]
        else:
            told = [await _written(box, _path(part), _chunks(part)) async for part in _parts(request)]
        return self._fake.reply_all("WriteInfo", told)

    async def download(self, request: web.Request) -> web.StreamResponse:
        path = self._fake.running(request).place.path(request.query["path"])
        if not path.is_file():
            return web.json_response({"code": 404, "message": f"{path} is no file"}, status=404)
        return web.FileResponse(path)


async def _written(box: Box, name: str, pieces: AsyncIterator[bytes]) -> dict[str, JsonValue]:
    path = box.place.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with await asyncio.to_thread(path.open, "wb") as file:
        async for piece in pieces:
            file.write(piece)
    return {"name": path.name, "type": "file", "path": str(Path(name))}


async def _parts(request: web.Request) -> AsyncIterator[BodyPartReader]:
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        yield part


def _path(part: BodyPartReader) -> str:
    """The whole of it, as the real one reads it; libraries keep the last step alone."""
    found = re.search(r'filename="([^"]*)"', part.headers.get("Content-Disposition", ""))
    return urllib.parse.unquote(found[1]) if found else ""


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(_PIECE):
        yield piece


async def _output(running: asyncio.subprocess.Process) -> AsyncIterator[tuple[str, bytes]]:
    """Both streams, as they come, to the end of both."""
    assert running.stdout is not None and running.stderr is not None
    queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(64)

    async def read(name: str, stream: asyncio.StreamReader) -> None:
        data = b"?"
        while data:
            data = await stream.read(_PIECE)
            await queue.put((name, data))

    async with asyncio.TaskGroup() as group:
        group.create_task(read("stdout", running.stdout))
        group.create_task(read("stderr", running.stderr))
        open_ = 2
        while open_:
            name, data = await queue.get()
            open_ -= not data
            if data:
                yield name, data


def _cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.close()
