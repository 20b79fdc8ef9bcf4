"""The emulated Daytona's toolbox: commands, sessions with their logs, and files, inside one sandbox."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader, web

from trunkline.testing.fake_cloud.faults import FAULTS
from trunkline.testing.fake_daytona.boxes import STDERR, STDOUT, Command

if TYPE_CHECKING:
    from trunkline.testing.fake_daytona.server import FakeDaytona

PIECE = 1 << 16


class Toolbox:
    """The routes below /toolbox/{id}."""

    def __init__(self, fake: FakeDaytona) -> None:
        self._fake = fake

    def routes(self) -> list[web.RouteDef]:
        top = "/toolbox/{id}"
        session = top + "/process/session"
        return [
            web.get(top + "/user-home-dir", self.home, name="home"),
            web.post(top + "/process/execute", self.execute, name="exec"),
            web.post(session, self.open, name="session"),
            web.delete(session + "/{session}", self.close, name="close"),
            web.post(session + "/{session}/exec", self.command, name="command"),
            web.get(session + "/{session}/command/{command}/logs", self.logs, name="logs"),
            web.post(top + "/files/bulk-upload", self.upload, name="upload"),
            web.post(top + "/files/bulk-download", self.download, name="download"),
        ]

    async def home(self, request: web.Request) -> web.Response:
        return self._fake.reply("UserHomeDirResponse", {"dir": str(self._fake.running(request).place.home)})

    async def execute(self, request: web.Request) -> web.Response:
        box, asked = self._fake.running(request), await request.json()
        started = await box.place.spawn(("/bin/sh", "-c", asked["command"]), asked.get("envs"))
        try:
            async with asyncio.timeout(asked.get("timeout") or None):
                out, err = await started.communicate()
        except TimeoutError:
            _kill(started)
            return web.json_response({"statusCode": 408, "message": "command execution timeout", "error": "Timeout"}, status=408)
        code = started.returncode
        return self._fake.reply("ExecuteResponse", {"exitCode": code, "result": (out + err).decode("utf-8", "replace")})

    async def open(self, request: web.Request) -> web.Response:
        self._fake.running(request).sessions[(await request.json())["sessionId"]] = {}
        return web.Response(status=201)

    async def close(self, request: web.Request) -> web.Response:
        for command in self._fake.running(request).sessions.pop(request.match_info["session"]).values():
            if command.running is not None and command.exit is None:
                _kill(command.running)
        return web.Response(status=204)

    async def command(self, request: web.Request) -> web.Response:
        box, asked = self._fake.running(request), await request.json()
        command = Command(uuid.uuid4().hex, asked["command"])
        box.sessions[request.match_info["session"]][command.id] = command
        command.running = await box.place.spawn(("/bin/sh", "-c", command.text))
        self._fake.spawn(_attend(command))
        return self._fake.reply("SessionExecuteResponse", {"cmdId": command.id}, 202)

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """The whole log from its start, then what comes; every listener hears everything."""
        box = self._fake.running(request)
        command = box.sessions[request.match_info["session"]][request.match_info["command"]]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        said = 0
        while True:
            more = command.more
            for data in command.log[said:]:
                await socket.send_bytes(data)
            said = len(command.log)
            if said and request.app[FAULTS].strikes("logs", "cut"):
                await socket.close(code=1011, message=b"keepalive ping timeout")
                return socket
            if command.exit is not None and said == len(command.log):
                await socket.close()
                return socket
            await more.wait()

    async def upload(self, request: web.Request) -> web.Response:
        box, target = self._fake.running(request), Path()
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if (part.name or "").endswith("path"):
                target = box.place.path(await part.text())
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            file = await asyncio.to_thread(target.open, "wb")
            try:
                while data := await part.read_chunk(PIECE):
                    file.write(data)
            finally:
                file.close()
        return web.json_response({})

    async def download(self, request: web.Request) -> web.StreamResponse:
        box, boundary = self._fake.running(request), uuid.uuid4().hex
        answer = web.StreamResponse(headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
        paths = [(name, box.place.path(name)) for name in (await request.json())["paths"]]
        await answer.prepare(request)
        for name, path in paths:
            kind = "file" if path.is_file() else "error"
            said = json.dumps({"message": "not found", "statusCode": 404, "code": "FILE_NOT_FOUND"}).encode()
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{kind}"; filename="{name}"\r\n'
            media = "octet-stream" if kind == "file" else "json"
            await answer.write(f"{head}Content-Type: application/{media}\r\n\r\n".encode())
            await answer.write((path.read_bytes() if kind == "file" else said) + b"\r\n")
        await answer.write(f"--{boundary}--\r\n".encode())
        await answer.write_eof()
        return answer


async def _attend(command: Command) -> None:
    """Gather what a command says until it ends."""
    assert command.running is not None and command.running.stdout is not None and command.running.stderr is not None

    async def gather(mark: bytes, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(PIECE):
            command.say(mark + data)

    async with asyncio.TaskGroup() as group:
        group.create_task(gather(STDOUT, command.running.stdout))
        group.create_task(gather(STDERR, command.running.stderr))
    command.exit = await command.running.wait()
    command.wake()


def _kill(started: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
