"""Real git over smart HTTP for tests: `git http-backend` behind aiohttp, for bare repositories below a folder."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from aiohttp import web

_CHUNK = 1 << 16
_WITHIN_S = 60.0


class GitOverHttp:
    """Answers requests for `<owner>/<name>.git/…`; who may do what is decided before. The server must leave bodies compressed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    async def answer(self, request: web.Request, path: str) -> web.Response:
        """`path` is that below the root. What git says is sent whole, so that a test may do what it likes between effect and answer."""
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", env=self._environment(request, path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(_WITHIN_S):
                said, _ = await process.communicate(await request.content.read())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return _response(said)

    def _environment(self, request: web.Request, path: str) -> dict[str, str]:
        settings = (("http.receivepack", "true"), ("safe.directory", "*"), ("receive.autogc", "false"))
        numbered = {f"GIT_CONFIG_{what}_{at}": pair[part] for at, pair in enumerate(settings) for part, what in enumerate(("KEY", "VALUE"))}
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/nonexistent",
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "tester",
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_CONFIG_COUNT": str(len(settings)),
            **numbered,
        }


def _response(said: bytes) -> web.Response:
    """Of what a CGI program printed."""
    head, _, body = said.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    return web.Response(status=status, headers=headers, body=body)
