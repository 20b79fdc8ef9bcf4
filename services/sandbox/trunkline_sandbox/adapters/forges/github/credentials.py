"""Git's way to a credential: a unix socket that answers for one repository, so that it stands in no argv, environment or file."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from trunkline.contracts.errors import DomainError

log = structlog.get_logger(__name__)
_NAME = "credentials"
_LONGEST = 8192
_WITHIN_S = 40.0
"""Seconds for one question: a token may have to be fetched."""
USER = "x-access-token"


@asynccontextmanager
async def credentials(folder: Path, url: str, token: Callable[[], Awaitable[str]]) -> AsyncIterator[Path]:
    """A socket that speaks as git's credential cache does, and only of `url`. It is gone after the block."""
    counter = _Counter(url, token)
    with _listening(folder) as (listener, path):
        server = await asyncio.start_unix_server(counter.answer, sock=listener, limit=_LONGEST)
        try:
            yield path
        finally:
            server.close()
            await server.wait_closed()


def sweep(folder: Path) -> None:
    """Remove what killed services left: sockets where nobody listens."""
    for place in folder.iterdir() if folder.is_dir() else ():
        if not _alive(place):
            shutil.rmtree(place, ignore_errors=True)


class _Counter:
    """Answers git's questions."""

    def __init__(self, url: str, token: Callable[[], Awaitable[str]]) -> None:
        parts = urlsplit(url)
        # As git itself takes the address apart: the host with its port, the path without its first slash.
        self._wanted = {"action": "get", "protocol": parts.scheme, "host": parts.netloc, "path": parts.path.lstrip("/")}
        self._token = token

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                if _ours(writer) and self._fits(await reader.read(_LONGEST)):
                    writer.write(f"username={USER}\npassword={await self._token()}\n".encode())
                    await writer.drain()
        except DomainError as error:
            log.warning("forge.no_credential", code=error.code, error=error.message)
        except (OSError, TimeoutError) as error:
            log.warning("forge.no_credential", error=type(error).__name__)
        finally:
            writer.close()

    def _fits(self, asked: bytes) -> bool:
        """For this repository and no other, wherever a redirect or a submodule leads git."""
        lines = (line.partition("=") for line in asked.decode("utf-8", "replace").splitlines())
        said = {name: value for name, _, value in lines}
        fits = all(said.get(name) == value for name, value in self._wanted.items())
        if not fits:
            log.warning("forge.credential_refused", host=said.get("host", "")[:100], path=said.get("path", "")[:100])
        return fits


def _ours(writer: asyncio.StreamWriter) -> bool:
    """Whether a program of our own user asks; the folder keeps the others out, but for the mightiest."""
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", peer)[1] == os.geteuid())


@contextmanager
def _listening(folder: Path) -> Iterator[tuple[socket.socket, Path]]:
    """A socket in a folder of its own that nobody else may enter."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / secrets.token_hex(8)
    place.mkdir(mode=0o700)
    handle = os.open(place, os.O_PATH | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Through the descriptor, because a socket's path may have only 107 bytes; git has its own way round that.
        listener.bind(f"/proc/self/fd/{handle}/{_NAME}")
        listener.listen(16)
        yield listener, place / _NAME
    finally:
        listener.close()
        os.close(handle)
        shutil.rmtree(place, ignore_errors=True)


def _alive(place: Path) -> bool:
    try:
        handle = os.open(place, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        try:
            door.settimeout(1)
            door.connect(f"/proc/self/fd/{handle}/{_NAME}")
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        finally:
            os.close(handle)
    return True
