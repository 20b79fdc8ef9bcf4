"""Moves a message within those that wait: `trunkline messages move TASK MESSAGE first`."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import asked, done
from trunkline_cli.messaging import QueueShown, add_message, moved
from trunkline_cli.orchestrator import Object, Orchestrator


def configure(parser: argparse.ArgumentParser) -> None:
    add_message(parser)
    parser.add_argument("place", metavar="first|last|N", help="where it is to stand; 1 is taken next")


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Invalid, Unavailable."""

    async def move(orchestrator: Orchestrator) -> Object:
        queue = QueueShown.model_validate(await orchestrator.messages(args.task))
        return await orchestrator.order(args.task, moved(queue, args.message, args.place))

    return done(args, asked(args, Orchestrator, move))
