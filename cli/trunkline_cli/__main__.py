"""`trunkline COMMAND`: finds the command's file, reads its arguments, runs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Final

from trunkline.contracts.errors import DomainError
from trunkline_cli.console import OK, USAGE, complain

COMMANDS: Final = {
    "up": "start everything on this machine: nats-server and all services",
    "demo": "watch one real task go all the way, in a temporary place",
    "run": "submit a task on a repository",
    "watch": "follow a task from its first event",
    "cancel": "stop a task wherever it stands",
    "settings": "list every setting with its value, its source and its reason",
    "doctor": "check this machine, with a remedy for what is missing",
    "serve": "run one service in the foreground",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return OK if words else USAGE
    if words[0] in ("-V", "--version"):
        print(f"trunkline {metadata.version('trunkline')}")
        return OK
    if words[0] not in COMMANDS:
        print(f"trunkline: there is no command {words[0]!r}.\n\n{_overview()}", file=sys.stderr)
        return USAGE
    return _run(words[0], words[1:])


def _run(name: str, words: list[str]) -> int:
    command = import_module(f"trunkline_cli.commands.{name}")
    parser = argparse.ArgumentParser(prog=f"trunkline {name}", description=command.__doc__, allow_abbrev=False)
    try:
        command.configure(parser)
        return int(command.run(parser.parse_args(words)))
    except DomainError as error:
        return complain(error)
    except KeyboardInterrupt:
        return 130


def _overview() -> str:
    lines = [f"  {name:<10}{text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: trunkline COMMAND [options]", "", *lines, "", "`trunkline COMMAND --help` tells more. Start with `trunkline demo`."]
    )


if __name__ == "__main__":
    sys.exit(main())
