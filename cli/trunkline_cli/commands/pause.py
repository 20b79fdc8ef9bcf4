"""Lets nothing of a run work on until it is resumed; its deadline stands still meanwhile."""

from __future__ import annotations

import argparse

from trunkline_cli import steering


def configure(parser: argparse.ArgumentParser) -> None:
    steering.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    return steering.steer(args, "pause")
