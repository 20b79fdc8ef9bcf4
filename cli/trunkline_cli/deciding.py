"""Decides approvals, one after the other, and says of each what became of it."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue
from rich.markup import escape

from trunkline.contracts.errors import Conflict, Denied, DomainError, Invalid, NotFound
from trunkline_cli import questions
from trunkline_cli.console import FAILED, OK, code_of, err, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.plain import one_line
from trunkline_cli.said import json_object
from trunkline_cli.terms import CALLS, calls, dollars

NOT_OPEN: Final = (Denied, Conflict)
"""Refusals that are about this one approval: it is not the caller's to decide, or asks about something else."""
STYLE: Final = {"approve": "green", "reject": "red"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one decision: the gateway's answer, or why it was refused."""

    approval: str
    answer: Object
    refused: DomainError | None = None
    decided: bool = False
    """Whether it is there, and has its decision or the caller's word already."""

    def as_json(self) -> JsonValue:
        if self.refused:
            return {"approval_id": self.approval, "success": False, "code": self.refused.code, "detail": self.refused.message}
        return {"approval_id": self.approval, "success": True, **self.answer}

    @property
    def code(self) -> int:
        """The exit code that goes with it. Pure."""
        if self.refused is None:
            return OK
        return FAILED if self.decided else code_of(self.refused)

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


def add_allowance(parser: argparse.ArgumentParser) -> None:
    """What a yes may hold beyond yes, where the approval offers it."""
    parser.add_argument("--for-run", action="store_true", help="also whenever the same is asked again in this run")
    parser.add_argument("--rule", default="", metavar=CALLS, help="for the run, every call of the tool that fits: 'Bash: make *'")
    parser.add_argument("--input", default="", metavar="JSON|@FILE", help="let this run instead of what was asked")
    parser.add_argument("--usd", type=dollars, metavar="N", help="how much more may be spent, where a budget is asked about")
    questions.add_answer(parser)


def allowance(args: argparse.Namespace) -> Object:
    """What of it was said, as the gateway takes it. Raises Invalid; NotFound, Unavailable where a question is to be shown first."""
    said: Object = {"scope": "run"} if args.for_run or args.rule else {}
    if args.rule:
        said["rule"] = calls("--rule", args.rule)
    if args.input:
        said["input"] = json_object("--input", args.input)
    if args.usd is not None:
        said["usd"] = args.usd
    if (answer := questions.answer(args)) is not None:
        said["answer"] = answer
    if said and said != {"scope": "run"} and len(set(args.approvals)) > 1:
        raise Invalid("--rule, --input, --usd and --answer are about one approval: name one at a time.")
    return said


def decide(args: argparse.Namespace, verb: str, more: Object | None = None) -> int:
    """All are decided that can be, and the highest exit code counts: 1 for one that was decided already, 2 for one that is unknown or not
    the caller's to decide.

    `more`: what the decision holds beyond its word.
    """
    return asyncio.run(_decide(args, verb, more or {}))


async def _decide(args: argparse.Namespace, verb: str, more: Object) -> int:
    outcomes: list[Outcome] = []
    words: Object = {name: value for name, value in (("reason", args.reason), ("digest", args.digest.lower())) if value}
    body = words | more
    try:
        async with opened(args) as door:
            for approval in dict.fromkeys(args.approvals):
                outcomes.append(await _one(Orchestrator(door), approval, verb, body))
                _say(outcomes[-1], verb, args.json)
    finally:  # what was decided is said, also when a later one found nobody to ask
        if args.json and outcomes:
            print_json({"decisions": [outcome.as_json() for outcome in outcomes]})
    return max(outcome.code for outcome in outcomes)


async def _one(orchestrator: Orchestrator, approval: str, verb: str, body: Object) -> Outcome:
    try:
        return Outcome(approval, await orchestrator.decide(approval, verb, body))
    except NotFound as refused:  # this surface says the same of one that is unknown and one that is decided
        return Outcome(approval, {}, refused, await orchestrator.has_approval(approval))
    except NOT_OPEN as refused:
        return Outcome(approval, {}, refused)


def _say(outcome: Outcome, verb: str, as_json: bool) -> None:
    if outcome.refused:
        err().print(f"[bold red]{escape(one_line(outcome.approval))}[/]: {escape(one_line(outcome.refused.message))}")
    elif not as_json:
        out().print(f"[{STYLE[verb]}]{escape(outcome.told)}[/]")
