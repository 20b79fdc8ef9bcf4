"""Stops a named sandbox: what runs in it ends, its files stay."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import add_json
from trunkline_cli.sandbox_flags import add_sandbox, tell


def configure(parser: argparse.ArgumentParser) -> None:
    add_sandbox(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Unavailable."""
    return tell(args, "stop")
