"""`trunkline COMMAND`: finds the command's file, reads its arguments, runs it."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Final, TextIO

from trunkline.contracts.errors import DomainError
from trunkline_cli.console import FAILED, OK, USAGE, complain

COMMANDS: Final = {
    "up": "start everything on this machine: nats-server and all services",
    "demo": "watch one real task go all the way, in a temporary place",
    "run": "submit a task on a repository",
    "dispatch": "start an agent in a repository's own GitHub workflow",
    "watch": "follow a task from its first event",
    "replay": "show a task once more, at its own pace or faster",
    "cancel": "stop a task wherever it stands",
    "send": "tell the agent of a running task something",
    "reply": "answer an agent that calls home",
    "messages": "list what it was told, or all that was said; `messages edit`, `move` and `withdraw` change what it has not taken yet",
    "interrupt": "end what the agent is doing; it may be told what to do instead",
    "pause": "let nothing of a run work on until it is resumed",
    "resume": "let a run go on that is paused, or that rests after an interrupt",
    "continue": "go on with a task that is over, on its branch and its pull request",
    "fork": "begin another task from one that is over, as it was at an event",
    "tasks": "list tasks, show one in full, or `tasks create` one of a type",
    "approvals": "list what waits for somebody's word, or was decided",
    "approve": "allow what somebody asked for",
    "reject": "refuse what somebody asked for, with a reason",
    "events": "`events publish` tells everybody something",
    "webhooks": "tell programs what happens: `webhooks add`, `show`, `change`, `deliveries`, `redeliver`, `rotate`, `remove`, `listen`",
    "schedules": "list tasks that are made again and again; `schedules create`, `show`, `change`, `pause`, `resume` and `delete`",
    "letters": "list what was given up on; `letters show` one, `requeue` it, edited or not, or `discard` it",
    "sandboxes": "list places to work that are kept; `sandboxes create`, `show`, `start`, `stop` and `delete` them",
    "trace": "show what a task did in which service, and how long each part took",
    "usage": "show what the models were asked and what it cost, day by day",
    "agent": "run an agent of your own, written with the SDK, until it is told to stop",
    "token": "mint a token on this machine, with the secret of its settings",
    "nats-key": "make the key by which agents are let in on an outside nats-server",
    "settings": "list every setting with its value, its source and its reason",
    "doctor": "check this machine, with a remedy for what is missing",
    "backup": "write everything down into one sealed file, also while it runs",
    "restore": "put a backup back into an empty place",
    "verify": "compare the log with the book of its witness: is everything as it was written?",
    "rollback": "put released work where an earlier version finds it",
    "serve": "run one service in the foreground",
}
TWO_WORDS: Final = {
    ("tasks", "create"): "tasks_create",
    ("messages", "edit"): "messages_edit",
    ("messages", "move"): "messages_move",
    ("messages", "withdraw"): "messages_withdraw",
    ("webhooks", "add"): "webhooks_add",
    ("webhooks", "show"): "webhooks_show",
    ("webhooks", "change"): "webhooks_change",
    ("webhooks", "deliveries"): "webhooks_deliveries",
    ("webhooks", "redeliver"): "webhooks_redeliver",
    ("webhooks", "rotate"): "webhooks_rotate",
    ("webhooks", "verify"): "webhooks_verify",
    ("webhooks", "remove"): "webhooks_remove",
    ("webhooks", "listen"): "webhooks_listen",
    ("schedules", "create"): "schedules_create",
    ("schedules", "show"): "schedules_show",
    ("schedules", "change"): "schedules_change",
    ("schedules", "pause"): "schedules_pause",
    ("schedules", "resume"): "schedules_resume",
    ("schedules", "delete"): "schedules_delete",
    ("letters", "show"): "letters_show",
    ("letters", "requeue"): "letters_requeue",
    ("letters", "discard"): "letters_discard",
    ("sandboxes", "create"): "sandboxes_create",
    ("sandboxes", "show"): "sandboxes_show",
    ("sandboxes", "start"): "sandboxes_start",
    ("sandboxes", "stop"): "sandboxes_stop",
    ("sandboxes", "delete"): "sandboxes_delete",
}
"""Commands of two words, each with a file of its own."""
FILES: Final = {"continue": "continue_", "nats-key": "nats_key"}
"""Of commands that no module can be called like."""
UNWRITTEN: Final = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""What becomes of what we print, where nobody can have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
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
    two = (words[0], *words[1:2])
    if two in TWO_WORDS:
        return _run(TWO_WORDS[two], " ".join(two), words[2:])
    return _run(FILES.get(words[0], words[0]), words[0], words[1:])


def _run(file: str, name: str, words: list[str]) -> int:
    command = import_module(f"trunkline_cli.commands.{file}")
    parser = argparse.ArgumentParser(prog=f"trunkline {name}", description=command.__doc__, allow_abbrev=False)
    try:
        command.configure(parser)
        code = int(command.run(parser.parse_args(words)))
        sys.stdout.flush()
        return code
    except DomainError as error:
        return complain(error)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno not in UNWRITTEN:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:  # whoever read what we print has gone, as `head` does
            print(f"trunkline: {error.filename or 'what there is to say'} cannot be written: {error.strerror}.", file=sys.stderr)
        return FAILED


def _nowhere() -> TextIO:
    """In place of what was closed before we began."""
    return open(os.devnull, "w")


def _overview() -> str:
    lines = [f"  {name:<10}{text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: trunkline COMMAND [options]", "", *lines, "", "`trunkline COMMAND --help` tells more. Start with `trunkline demo`."]
    )


if __name__ == "__main__":
    sys.exit(main())
