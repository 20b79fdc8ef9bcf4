"""The agent of the row `leases`: an agent of the SDK that says what a task of the floor says, and is done."""

from __future__ import annotations

import sys

import uvloop

from bench.floor import LINES
from trunkline import Agent, Context

AT_ONCE = 64


async def work(url: str) -> None:
    agent = Agent(
        "dev_agent", at_once=AT_ONCE, servers=url.split(","), credential=lambda: "a-key-that-nobody-asks-for", name="bench", tenant="public"
    )

    @agent.task("bugfix")
    async def fix(context: Context) -> dict[str, int]:
        for line in LINES:
            context.say(line)
        return {"pull_request": 1}

    await agent.serve()


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1]))
