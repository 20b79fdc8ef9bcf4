"""Lets a run that was paused go on where it stood."""

from __future__ import annotations

import argparse

from trunkline_cli import steering


def configure(parser: argparse.ArgumentParser) -> None:
    steering.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    return steering.steer(args, "resume")
