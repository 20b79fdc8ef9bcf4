"""Lists the messages to the agent of a task: those that wait in their order, then the others, the newest first."""

from __future__ import annotations

import argparse
import asyncio

from trunkline.runtime.clock import now
from trunkline_cli import messaging, tables
from trunkline_cli.console import OK, err, out, print_json, program
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.messaging import QueueShown
from trunkline_cli.orchestrator import Object, Orchestrator


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "`messages edit`, `messages move` and `messages withdraw` change what the agent has not taken yet."
    parser.add_argument("task", metavar="TASK", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    answer = asyncio.run(_ask(args))
    if args.json:
        print_json(answer)
        return OK
    _show(QueueShown.model_validate(answer))
    return OK


async def _ask(args: argparse.Namespace) -> Object:
    async with opened(args) as door:
        return await Orchestrator(door).messages(args.task)


def _show(queue: QueueShown) -> None:
    at = now()
    if queue.messages:
        tables.show(messaging.COLUMNS, (messaging.row(each, at) for each in queue.messages), out())
    else:
        err().print(f'Nobody said anything to this agent yet. `{program()} send TASK "..."` does.', markup=False)
    if queue.paused:
        err().print(f"The run is paused; `{program()} resume TASK` lets it go on.", markup=False)
    if queue.closed:
        err().print("Nothing that is said now would reach the agent.", markup=False)
