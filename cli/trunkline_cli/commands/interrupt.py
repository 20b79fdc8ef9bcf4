"""Ends what the agent of a task is doing; it lives, and may be told what to do instead by `trunkline send`."""

from __future__ import annotations

import argparse

from trunkline_cli import steering


def configure(parser: argparse.ArgumentParser) -> None:
    steering.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    return steering.steer(args, "interrupt")
