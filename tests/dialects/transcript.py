"""Replays a conversation that is written down as people read it.

A transcript is made of blocks between blank lines. `# words` are for readers. `= name` lets a story happen. `METHOD /path` sends a request,
with the JSON on the lines below as its body. `< 200` expects a status, and below it either JSON or the `id:` and `data:` lines of a stream.
`<name>` binds on first sight and must be the same ever after; `"*"` stands for anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession

Story = Callable[[], Awaitable[None]]
_NAME = re.compile(r"<([a-z]+)>")


class Transcript:
    """One conversation and the names bound in it."""

    def __init__(self, text: str, stories: Mapping[str, Story]) -> None:
        self._blocks = [block.strip("\n").split("\n") for block in re.split(r"\n[ \t]*\n", text.strip())]
        self._stories = stories
        self._names: dict[str, str] = {}

    async def play(self, session: ClientSession) -> None:
        response: ClientResponse | None = None
        for block in self._blocks:
            lines = [line for line in block if not line.startswith("#")]
            if not lines:
                continue
            if lines[0].startswith("= "):
                await self._stories[lines[0][2:]]()
            elif lines[0].startswith("< "):
                assert response is not None
                await self._expect(response, lines)
            else:
                response = await self._ask(session, lines)

    async def _ask(self, session: ClientSession, lines: list[str]) -> ClientResponse:
        method, path = self._filled(lines[0]).split(" ", 1)
        headers = {"Content-Type": "application/json"} if len(lines) > 1 else {}
        body = self._filled("\n".join(lines[1:])).encode()
        return await session.request(method, path, data=body or None, headers=headers)

    async def _expect(self, response: ClientResponse, lines: list[str]) -> None:
        body = await response.text()
        assert response.status == int(lines[0][2:]), body
        expected = lines[1:]
        if expected and expected[0].startswith(("data:", "id:")):
            said = [line for line in body.split("\n") if line.startswith(("data:", "event:", "id:"))]
            wanted = [line for line in said if line.startswith("data:") or any(e.startswith("id:") for e in expected)]
            assert len(wanted) == len(expected), body
            for want, got in zip(expected, wanted, strict=True):
                self._line(want, got)
        elif expected:
            self._same(json.loads("\n".join(expected)), json.loads(body))

    def _line(self, want: str, got: str) -> None:
        if want.startswith("id:"):
            self._same(want, got)
        else:
            self._same(json.loads(want[5:]), json.loads(got[5:]))

    def _same(self, want: Any, got: Any, at: str = "$") -> None:
        if want == "*":
            return
        if isinstance(want, dict):
            assert isinstance(got, dict), f"{at}: {got!r}"
            assert list(want) == list(got) if "*" not in want else want.keys() - {"*"} <= got.keys(), f"{at}: {list(want)} != {list(got)}"
            for key in want.keys() - {"*"}:
                self._same(want[key], got[key], f"{at}.{key}")
        elif isinstance(want, list) and isinstance(got, list):
            assert len(want) == len(got), f"{at}: {want!r} != {got!r}"
            for place, pair in enumerate(zip(want, got, strict=True)):
                self._same(*pair, f"{at}[{place}]")
        elif isinstance(want, str) and isinstance(got, str):
            self._text(want, got, at)
        else:
            assert want == got, f"{at}: {want!r} != {got!r}"

    def _text(self, want: str, got: str, at: str) -> None:
        filled = self._filled(want)
        free = _NAME.findall(filled)
        found = re.fullmatch(_NAME.sub(r"([^/\\s]+)", re.sub(r"[][\\.*+?(){}|^$]", r"\\\g<0>", filled)), got)
        assert found, f"{at}: {filled!r} != {got!r}"
        self._names |= dict(zip(free, found.groups(), strict=True))

    def _filled(self, text: str) -> str:
        return _NAME.sub(lambda found: self._names.get(found[1], found[0]), text)


def read(path: Path) -> str:
    return path.read_text("utf-8")
