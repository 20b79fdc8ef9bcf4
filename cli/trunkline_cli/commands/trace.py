"""Shows what a task, or everything under the name of a trace, did in which service, and how long each part took."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.api import JOB
from trunkline_cli.console import OK, err, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.orchestrator import KNOWLEDGE, Object, Orchestrator
from trunkline_cli.plain import plain
from trunkline_cli.waterfall import Found, show


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="ID", help="of a task, or the name of a trace: what a task has as trace_id, or 32 hexadecimal digits"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound."""
    answer = asyncio.run(_ask(args))
    if args.json:
        print_json(answer)
        return OK
    found = Found.model_validate(answer)
    if not found.spans:
        err().print("No spans of it are kept: it was not chosen to be, or is some days old. What happened is told by `trunkline replay`.")
        return OK
    show(found, out())
    return OK


async def _ask(args: argparse.Namespace) -> Object:
    async with opened(args) as door:
        gateway = Orchestrator(door)
        return await gateway.trace(await _name(gateway, args.name))


async def _name(gateway: Orchestrator, text: str) -> str:
    """A task's own trace, where it is a task's id; else the name as it is."""
    is_task = KNOWLEDGE.fullmatch(text) or JOB.fullmatch(text.removeprefix("task_"))
    found = await gateway.if_there(text) if is_task else None
    task = found.get("task") if found else None
    return plain(str(task.get("trace_id") or text)) if isinstance(task, dict) else text
