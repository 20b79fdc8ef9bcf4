"""Goes on with a task that is over, on its branch and its pull request: `trunkline continue TASK "now add a test"`."""

from __future__ import annotations

import argparse

from trunkline_cli import going_on


def configure(parser: argparse.ArgumentParser) -> None:
    going_on.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    return going_on.go_on(args, lambda surface, body: surface.continue_(args.task, body))
