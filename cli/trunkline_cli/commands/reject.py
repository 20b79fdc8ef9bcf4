"""Refuses what somebody asked for, with a reason; exit code 1 when it was decided already, 2 when it is unknown or not yours."""

from __future__ import annotations

import argparse

from trunkline.contracts.errors import Invalid
from trunkline_cli import deciding


def configure(parser: argparse.ArgumentParser) -> None:
    deciding.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Invalid without a reason: whoever asked has to live with the answer, and shall know why."""
    if not args.reason.strip():
        raise Invalid("A refusal needs its reason: say --reason 'why not'.")
    return deciding.decide(args, "reject")
