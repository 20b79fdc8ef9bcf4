"""Allows what somebody asked for; exit code 1 when it was decided already, 2 when it is unknown or not yours."""

from __future__ import annotations

import argparse

from trunkline_cli import deciding


def configure(parser: argparse.ArgumentParser) -> None:
    deciding.add_flags(parser)
    deciding.add_allowance(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Invalid."""
    return deciding.decide(args, "approve", deciding.allowance(args))
