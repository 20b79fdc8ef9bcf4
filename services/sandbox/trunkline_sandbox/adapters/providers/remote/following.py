"""Follow a start in a cloud: by the log of a porter that prints the spool, by asking for the spool where logs break."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import structlog

from trunkline.contracts.errors import DomainError, NotFound, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline.runtime.owned import Owned
from trunkline_sandbox.adapters.providers.remote.frames import LOST, Frames
from trunkline_sandbox.adapters.providers.remote.inside.porter import ANSWER, LOOK
from trunkline_sandbox.adapters.providers.remote.inside.runs import HEAD
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.adapters.providers.remote.rooms import Room, Rooms, read_answer
from trunkline_sandbox.ports import Exit, Line

log = structlog.get_logger(__name__)
WAIT_S: Final = 2.0
"""For which the porter waits for something new when it is asked for the spool."""
_LONGEST_LINE: Final = 1 << 20
_AHEAD: Final = 256
"""Pieces that may wait for whoever reads; then the log waits too."""


class LogLost(Exception):
    """The log ended, broke or fell silent before the program did."""


@dataclass(slots=True)
class Follow:
    """One reader of one start."""

    rooms: Rooms
    options: RemoteOptions
    id: SandboxId
    run: str
    frames: Frames = field(default_factory=Frames)
    lost: int = 0
    """Logs in a row that brought nothing."""

    async def lines(self) -> AsyncGenerator[Line | Exit, None]:
        """Ends after the Exit. Raises NotFound when nothing was started; Unavailable when the cloud is away for too long."""
        began = False
        while not self.frames.over:
            async with aclosing(self._round(began)) as lines:
                async for line in lines:
                    yield line
            began = True

    async def _round(self, began: bool) -> AsyncGenerator[Line | Exit, None]:
        """What one look at the spool and one log bring."""
        async with aclosing(self._pieces(began)) as pieces:
            async for piece in pieces:
                for line in self.frames.feed(piece):
                    yield line
                if self.frames.over:
                    return

    async def _pieces(self, began: bool) -> AsyncGenerator[bytes, None]:
        """What is there first: it says whether there is anything, and costs one call. Then the log, as long as it lasts."""
        try:
            piece = await self._asked(0.0 if self.lost < 3 else WAIT_S)
        except NotFound as error:
            if not began or error.code == "RUN_NOT_FOUND":
                raise
            piece = None
        if piece is None:
            yield _end_as_lost()
            return
        if piece:
            yield piece
        if len(piece) >= LOOK:  # there is more of it already
            return
        if self.lost % 10 >= 3:
            self.lost += 1
            return
        async with aclosing(self._log()) as log_:
            async for heard in log_:
                self.lost = 0
                yield heard

    async def _asked(self, wait: float) -> bytes | None:
        """The next piece of the spool, empty when there is none yet; None when it ended without an end."""
        loop = asyncio.get_running_loop()
        until, at = loop.time() + self.options.away_s, str(self.frames.taken)
        while True:
            try:
                answer = await self.rooms.within(self.id, lambda room: room.ask("read", self.run, at, str(wait)))
                return None if answer.over else _bytes(answer.data)
            except DomainError as error:
                if not (self.rooms.passes(error) or isinstance(error, Unavailable)) or loop.time() > until:
                    raise
                await asyncio.sleep(self.rooms.pause(3, error))

    async def _log(self) -> AsyncGenerator[bytes, None]:
        """Pieces as the porter prints them; ends when the log does, however it does."""
        queue: asyncio.Queue[bytes | str] = asyncio.Queue(_AHEAD)
        reader = Owned(self._listen(queue))
        try:
            while True:
                async with asyncio.timeout(self.options.silence_s):
                    piece = await queue.get()
                if isinstance(piece, str):
                    self._count(piece)
                    return
                if piece:
                    yield piece
        except TimeoutError:
            self._count("silence")
        finally:
            await reader.end()

    def _count(self, why: str) -> None:
        """A log that was lost; its end, as it should be, has no reason."""
        if why:
            self.lost += 1
            log.info("cloud.log_lost", sandbox=self.id, why=why[:200], taken=self.frames.taken)

    async def _listen(self, queue: asyncio.Queue[bytes | str]) -> None:
        """Put every piece into the queue, empty ones for beats; at last why it ended, empty where it is the program's end."""
        try:
            room = await self.rooms.within(self.id, _itself)
            await self._tail(room, queue)
        except (LogLost, DomainError) as lost:
            await queue.put(str(lost) or "lost")
        else:
            await queue.put("closed")

    async def _tail(self, room: Room, queue: asyncio.Queue[bytes | str]) -> None:
        rest = ""

        async def heard(text: str) -> None:
            nonlocal rest
            *lines, rest = (rest + text).split("\n")
            if len(rest) > _LONGEST_LINE:
                raise LogLost("a line without an end")
            for line in lines:
                await queue.put(_piece(line.rstrip("\r")))

        await room.cloud.follow(room.machine, room.command("follow", self.run, str(self.frames.taken)), heard)


def _piece(line: str) -> bytes | str:
    """A piece of the spool, nothing for a beat, a text where the porter says that it is over."""
    if line.startswith(ANSWER):
        answer = read_answer(line)
        return "" if answer and answer.over else "the porter refuses"
    return b"" if line == "." else _bytes(line)


async def _itself(room: Room) -> Room:
    return room


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LogLost("not what the porter writes") from error


def _end_as_lost() -> bytes:
    """A frame that says so: the sandbox and its spool are gone."""
    said = b'{"code":null,"signal":null,"cause":"%s","dropped":0}' % str(LOST.cause).encode()
    return HEAD.pack(b"X", len(said), 0, 0) + said
