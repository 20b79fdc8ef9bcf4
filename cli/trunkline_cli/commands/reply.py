"""Tells an agent that calls home something, which answers what it asked: `trunkline reply ID "use tabs"`."""

from __future__ import annotations

import argparse
import asyncio

from trunkline.contracts.errors import Invalid
from trunkline_cli.console import OK, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.instances import Instances
from trunkline_cli.messaging import text_of
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import one_line


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("instance", metavar="ID", help="as `trunkline dispatch` and `trunkline tasks` print it, or as it was dispatched")
    parser.add_argument("text", metavar="TEXT|-", help="what the agent is to be told; - takes it from standard input")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    """The id alone on the first line. Raises NotFound, Invalid, Unavailable."""
    text = text_of(args.text)
    if not text.strip():
        raise Invalid("A reply says something.")
    answer = asyncio.run(_reply(args, text))
    if args.json:
        print_json(answer)
    else:
        out().print(f"{one_line(str(answer.get('message_id', '')))}\nIt is kept; the agent has it when it looks next.", markup=False)
    return OK


async def _reply(args: argparse.Namespace, text: str) -> Object:
    async with opened(args) as door:
        return await Instances(door).reply(args.instance, text)
