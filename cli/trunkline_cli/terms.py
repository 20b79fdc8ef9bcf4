"""Flags by which a task is held tighter than the settings hold it: calls to ask about or deny, and what its models may cost."""

from __future__ import annotations

import argparse
import math

from pydantic import JsonValue

from trunkline.contracts.errors import Invalid
from trunkline_cli.orchestrator import Object

CALLS = "'TOOL: PATTERN'"


def add_terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ask", action="append", default=[], metavar=CALLS, help="ask somebody before such a call: 'Bash: git push*'")
    parser.add_argument("--deny", action="append", default=[], metavar=CALLS, help="never let such a call run: 'Bash: curl *'")
    parser.add_argument("--budget-usd", type=dollars, metavar="N", help="ask somebody once its models have cost so much")


def terms(args: argparse.Namespace) -> Object:
    """What of it was said, as the orchestrator surface takes it. Raises Invalid."""
    rules: list[JsonValue] = [{**calls(f"--{then}", text), "then": then} for then in ("ask", "deny") for text in getattr(args, then)]
    said: Object = {"budget_usd": args.budget_usd, "tool_rules": rules or None}
    return {name: value for name, value in said.items() if value is not None}


def calls(flag: str, text: str) -> Object:
    """`TOOL: PATTERN`. Raises Invalid, also for a tool alone: that all its calls are meant is to be said. Pure."""
    tool, _, argument = (part.strip() for part in text.partition(":"))
    if not tool or not argument:
        raise Invalid(f"{flag} names a tool and what its argument must look like: 'Bash: make *', or 'Bash: *' for every call of it.")
    return {"tool": tool, "argument": argument}


def dollars(text: str) -> float:
    """An amount of US dollars. Raises ValueError, which argparse says."""
    amount = float(text)
    if not (math.isfinite(amount) and amount > 0):
        raise argparse.ArgumentTypeError("must be more than 0")
    return amount
