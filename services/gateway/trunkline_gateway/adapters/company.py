"""Lets requests whose answer nobody waits for wait for company: one that wakes a process alone finds its caches cold, and costs thrice."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable
from typing import Final

WAIT_S: Final = 0.25
"""At most; whatever else is asked meanwhile ends it."""
WARM_S: Final = 0.005
"""So soon after others all is at hand, and nothing is won by waiting."""
MOST: Final = 4096
"""Bytes of one that waits; what is longer is none of that kind."""
_PART: Final = re.compile(r"\{[^}]*\}")


class Company:
    """What has come of patient requests, on whatever connection, and was not read yet; one of each connection at most."""

    def __init__(self, patient: Iterable[tuple[str, str]], wait_s: float = WAIT_S, warm_s: float = WARM_S) -> None:
        """`patient`: methods and paths, as routes declare them."""
        self._begins = _beginning(patient)
        self._wait_s, self._warm_s = wait_s, warm_s
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Callable[[], None]] = []
        self._end: asyncio.TimerHandle | None = None
        self._warm = -math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, data: bytes, read: Callable[[], None]) -> bool:
        """Whether `data` waits, until `read` is called. Anything else that comes ends the waiting of all."""
        if len(data) > MOST or not self._begins.match(data):
            if data and self._waiting:
                self.disperse()
            return False
        now = self._loop.time()
        if now - self._warm < self._warm_s:
            self._warm = now
            return False
        if not self._waiting:
            self._end = self._loop.call_later(self._wait_s, self.disperse)
        self._waiting.append(read)
        return True

    def disperse(self) -> None:
        """All that waits is read, as soon as what is being done is done."""
        if self._end:
            self._end.cancel()
        waiting, self._waiting, self._end, self._warm = self._waiting, [], None, self._loop.time()
        for read in waiting:
            self._loop.call_soon(read)


def _beginning(patient: Iterable[tuple[str, str]]) -> re.Pattern[bytes]:
    lines = [f"{method} {'[^/? ]+'.join(map(re.escape, _PART.split(path)))} HTTP/1\\.1\r\n" for method, path in patient]
    return re.compile("|".join(lines or ["(?!)"]).encode("ascii"))
