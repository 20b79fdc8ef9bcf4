"""Decides approvals, one after the other, and says of each what became of it."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue
from rich.markup import escape

from trunkline.contracts.errors import Conflict, Denied, DomainError, NotFound
from trunkline_cli.console import FAILED, OK, err, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.plain import one_line

NOT_OPEN: Final = (NotFound, Denied, Conflict)
"""Refusals that are about this one approval: it is unknown, decided already, not the caller's to decide, or asks about something else."""
STYLE: Final = {"approve": "green", "reject": "red"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one decision: the gateway's answer, or why it was refused."""

    approval: str
    answer: Object
    refused: DomainError | None = None

    def as_json(self) -> JsonValue:
        if self.refused:
            return {"approval_id": self.approval, "success": False, "code": self.refused.code, "detail": self.refused.message}
        return {"approval_id": self.approval, "success": True, **self.answer}

    @property
    def told(self) -> str:
        """Pure."""
        return one_line(f"{self.approval}: {self.answer.get('message') or 'decided'}")


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("approvals", nargs="+", metavar="ID", help="as `trunkline approvals` lists them")
    parser.add_argument("--reason", default="", help="kept with the decision")
    parser.add_argument("--digest", default="", help="decide only if exactly this is asked: the digest of what you were shown")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_gateway(parser)


def decide(args: argparse.Namespace, verb: str) -> int:
    """Exit code 1 when one of them was decided already, or is not the caller's to decide; the others are decided all the same."""
    return asyncio.run(_decide(args, verb))


async def _decide(args: argparse.Namespace, verb: str) -> int:
    outcomes: list[Outcome] = []
    body: Object = {name: value for name, value in (("reason", args.reason), ("digest", args.digest.lower())) if value}
    try:
        async with opened(args) as door:
            for approval in dict.fromkeys(args.approvals):
                outcomes.append(await _one(Orchestrator(door), approval, verb, body))
                _say(outcomes[-1], verb, args.json)
    finally:  # what was decided is said, also when a later one found nobody to ask
        if args.json and outcomes:
            print_json({"decisions": [outcome.as_json() for outcome in outcomes]})
    return FAILED if any(outcome.refused for outcome in outcomes) else OK


async def _one(orchestrator: Orchestrator, approval: str, verb: str, body: Object) -> Outcome:
    try:
        return Outcome(approval, await orchestrator.decide(approval, verb, body))
    except NOT_OPEN as refused:
        return Outcome(approval, {}, refused)


def _say(outcome: Outcome, verb: str, as_json: bool) -> None:
    if outcome.refused:
        err().print(f"[bold red]{escape(one_line(outcome.approval))}[/]: {escape(one_line(outcome.refused.message))}")
    elif not as_json:
        out().print(f"[{STYLE[verb]}]{escape(outcome.told)}[/]")
