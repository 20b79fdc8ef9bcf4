"""Scripted model APIs in a process of their own, so that what is measured shares no interpreter with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import uvloop

from bench import processes
from trunkline.testing.scripted_model import Text, ToolUse, scripted_model
from trunkline.testing.scripted_openai import scripted_openai

KEY: Final = "sk-bench-key-000111"
TURNS: Final = (
    (ToolUse("Bash", {"command": "echo 42 > answer.txt", "description": "write it"}),),
    (Text("It is done."),),
)


class Models(NamedTuple):
    """Addresses."""

    anthropic: str
    openai: str


@contextmanager
def models() -> Iterator[Models]:
    """Both model APIs, which say the same to everybody and take KEY."""
    with processes.python("bench.models", talking=True) as child:
        assert child.stdout
        anthropic, openai = child.stdout.readline().split()
        yield Models(anthropic, openai)


async def serve() -> None:
    """Until killed."""
    async with scripted_model(TURNS, key=KEY) as anthropic, scripted_openai([(Text("It is done."),)], key=KEY) as openai:
        print(anthropic.url, openai.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
