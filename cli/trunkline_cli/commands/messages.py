"""Lists what was said to the agent of a task; of one that calls home the whole conversation, or what it changed so far."""

from __future__ import annotations

import argparse
import asyncio

from trunkline.contracts.errors import NotFound
from trunkline.runtime.clock import now
from trunkline_cli import instances, messaging, tables
from trunkline_cli.console import OK, err, out, print_json, program
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.instances import Instance, Instances
from trunkline_cli.messaging import QueueShown
from trunkline_cli.orchestrator import Object, Orchestrator


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "`messages edit`, `messages move` and `messages withdraw` change what an agent of ours has not taken yet."
    parser.add_argument("task", metavar="TASK", help="as `trunkline run`, `dispatch` and `tasks` print it, or as it was dispatched")
    parser.add_argument("--diff", action="store_true", help="what an agent that calls home changed in its repository so far")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    answer, at_home = asyncio.run(_ask(args))
    if args.json:
        print_json(answer)
    elif not at_home:
        _show(QueueShown.model_validate(answer))
    elif args.diff:
        _show_diff(Instance.model_validate(answer))
    else:
        _show_conversation(Instance.model_validate(answer))
    return OK


async def _ask(args: argparse.Namespace) -> tuple[Object, bool]:
    """What the gateway answers, and whether that is the conversation of an agent that calls home."""
    async with opened(args) as door:
        try:
            return await Instances(door).one(args.task), True
        except NotFound:
            if args.diff:
                raise
            return await Orchestrator(door).messages(args.task), False


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


def _show_conversation(instance: Instance) -> None:
    at = now()
    tables.show(instances.COLUMNS, (instances.row(each, at) for each in instance.messages), out())
    err().print(instance.told, markup=False)
    if instance.status == "AWAITING_INPUT":
        err().print(f'It waits for an answer: `{program()} reply {instance.id} "..."`', markup=False)


def _show_diff(instance: Instance) -> None:
    if instance.git_diff:
        print(instance.git_diff)
    else:
        err().print("The agent told of no changes.", markup=False)
