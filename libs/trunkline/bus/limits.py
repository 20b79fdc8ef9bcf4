"""Exact sliding windows, counted by nats-server: a stream takes so many messages per subject and forgets each after the window.

A hit is one publish: its acknowledgement lets the caller in, and error 10077 says that the window is full. No clock of ours has a part in
that, and no gateway needs to know of another.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats.aio.msg import Msg

from trunkline.bus.answers import Answers, Question, status_of
from trunkline.bus.away import BusAway
from trunkline.bus.streams import counting, counting_name
from trunkline.contracts import subjects

DECIDES_WITHIN: Final = 0.5
"""Seconds that nats-server has to let a hit in or refuse it."""
MADE_WITHIN: Final = 10.0
EXPIRY_LAG: Final = 0.3
"""Seconds by which nats-server may forget a hit too late; it never does so too early."""
_FULL: Final = 10077
_EXISTS: Final = 10058
_NOBODY: Final = "503"
_ABSENT: Final = "404"
_NAME: Final = "Nats-Msg-Id"
_PAUSE: Final = 0.02
_UNITS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_WORDS: Final = re.compile(r"([1-9][0-9]{0,6})/(?:(minute|hour|day)|([1-9][0-9]{0,5})s)")


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `limit` hits in any `window_s` seconds."""

    limit: int
    window_s: int

    @classmethod
    def of(cls, text: str) -> Rule:
        """Reads `10/minute`, `10/hour`, `10/day` or `10/5s`. Raises ValueError."""
        found = _WORDS.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no limit; write N/minute, N/hour, N/day, or N/Ss for a window of S seconds, with N from 1 on")
        return cls(int(found[1]), _UNITS.get(found[2]) or int(found[3]))

    @property
    def stream(self) -> str:
        return counting_name(self.limit, self.window_s)

    def subject(self, key: str) -> str:
        return subjects.limit(str(self.limit), str(self.window_s), key)


@dataclass(frozen=True, slots=True)
class Hit:
    """Counted: the caller is let in."""

    seq: int
    again: bool = False
    """It named itself, and was counted when it first came."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The window is full; nothing was counted."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is in one window: how many hits, and after how many seconds the oldest has surely left it."""

    count: int
    frees_in: float


def key_of(*parts: str) -> str:
    """A name for a caller that nobody can read, guess or make collide."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Limits:
    """Every window of every caller."""

    def __init__(self, answers: Answers, replicas: int) -> None:
        self._answers = answers
        self._replicas = replicas
        self._ahead = 0.0
        """Seconds by which the clock of nats-server is ahead of our monotonic one, which nobody sets."""
        self._making = asyncio.Lock()
        self._made = 0

    async def ensure(self, rules: Iterable[Rule]) -> None:
        """Make the streams of `rules` where they are missing. Raises BusAway."""
        for rule in set(rules):
            try:
                async with asyncio.timeout(MADE_WITHIN):
                    await self._made_sure(rule)
            except TimeoutError:
                raise BusAway("nats-server does not make the streams that count limits", code="BUS_AWAY") from None

    async def hit(self, rule: Rule, key: str, *, id: str = "") -> Hit | Refused:
        """One more of the caller `key`, if there is room; what names itself by `id` counts once, should it come again within two minutes.

        `rule` was made sure of before. Raises BusAway within half a second.
        """
        headers = {_NAME: id} if id else None
        try:
            async with asyncio.timeout(DECIDES_WITHIN):
                while (answer := await self._answered(rule.subject(key), headers=headers)) is None:
                    await self._remake(rule)
                return _verdict(answer)
        except TimeoutError:
            raise _away("does not answer") from None

    async def holds(self, rule: Rule, hit: Hit) -> bool:
        """Whether the window holds it still. Raises BusAway."""
        answer = await self._said(f"$JS.API.DIRECT.GET.{rule.stream}", {"seq": hit.seq})
        return answer is not None and status_of(answer) != _ABSENT

    async def give_back(self, rule: Rule, hit: Hit) -> None:
        """As if it had not been; one that left its window by itself is no matter. Raises BusAway."""
        await self._said(f"$JS.API.STREAM.MSG.DELETE.{rule.stream}", {"seq": hit.seq, "no_erase": True})

    async def _said(self, subject: str, wish: Mapping[str, int | bool]) -> Msg | None:
        try:
            async with asyncio.timeout(DECIDES_WITHIN):
                return await self._answered(subject, json.dumps(wish).encode())
        except TimeoutError:
            raise _away("does not answer") from None

    async def look(self, rule: Rule, key: str) -> Look:
        """Ask for the window of a caller; the answer is for whoever waits for it. Raises BusAway."""
        wish = json.dumps({"seq": 1, "next_by_subj": rule.subject(key), "batch": 1}).encode()
        return Look(await self._answers.ask(f"$JS.API.DIRECT.GET.{rule.stream}", wish), rule, self._ahead)

    async def _answered(self, subject: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Msg | None:
        """Nothing when nobody is there who could answer."""
        answer = await (await self._answers.ask(subject, body, headers))
        if answer is None:
            raise _away("has too much to answer")
        return None if status_of(answer) == _NOBODY else answer

    async def _made_sure(self, rule: Rule) -> None:
        while True:
            if await self._make(rule):
                return
            await asyncio.sleep(_PAUSE)

    async def _remake(self, rule: Rule) -> None:
        """A window in memory is gone when nats-server was restarted; one caller makes it again for all that wait."""
        made = self._made
        async with self._making:
            if made == self._made and not await self._make(rule):
                await asyncio.sleep(_PAUSE)

    async def _make(self, rule: Rule) -> bool:
        config = json.dumps(counting(rule.limit, rule.window_s, self._replicas).as_dict()).encode()
        answer = await self._answered(f"$JS.API.STREAM.CREATE.{rule.stream}", config)
        if answer is None:
            return False
        said = json.loads(answer.data)
        if error := said.get("error"):
            if error.get("err_code") == _EXISTS:  # made by an earlier version or for another number of replicas: it counts as well
                return True
            if error.get("code") != 503:
                raise _away(f"does not make the stream {rule.stream} ({error.get('description')})")
            return False
        self._made += 1
        self._ahead = _epoch(said["ts"]) - time.monotonic()
        return True


class Look:
    """A question about a window that is on its way."""

    def __init__(self, question: Question, rule: Rule, ahead: float) -> None:
        self._question = question
        self._rule = rule
        self._ahead = ahead

    async def window(self, within: float) -> Window | None:
        """Nothing when the answer is not here after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                answer = await asyncio.shield(self._question)
        except TimeoutError:
            return None
        headers = (answer.headers if answer else None) or {}
        if headers.get("Status") in (_ABSENT, _NOBODY):
            return Window(0, 0.0)
        if "Nats-Num-Pending" not in headers or "Nats-Time-Stamp" not in headers:
            return None
        age = time.monotonic() + self._ahead - _epoch(headers["Nats-Time-Stamp"])
        return Window(int(headers["Nats-Num-Pending"]) + 1, self._rule.window_s + EXPIRY_LAG - max(age, 0.0))


def _verdict(answer: Msg) -> Hit | Refused:
    said = json.loads(answer.data)
    error = said.get("error")
    if error is None:
        return Hit(said["seq"], bool(said.get("duplicate")))
    if error.get("err_code") == _FULL and "per subject" in error.get("description", ""):
        return Refused()
    raise _away(f"does not count: {error.get('description')}")


def _away(what: str) -> BusAway:
    return BusAway(f"nats-server {what}, and it counts the limits", code="LIMITS_AWAY")


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
