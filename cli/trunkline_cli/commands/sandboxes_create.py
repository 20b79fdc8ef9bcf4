"""Makes a sandbox for USER, or gets the one that the user has: a stopped one is started, a broken one replaced."""

from __future__ import annotations

import argparse

from pydantic import JsonValue

from trunkline.contracts.errors import Invalid
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, err, out, print_json, program
from trunkline_cli.door import same_door
from trunkline_cli.orchestrator import Object
from trunkline_cli.paging import positive
from trunkline_cli.plain import one_line, plain
from trunkline_cli.sandboxes import Sandboxes


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER", help="whose it is: any text of at most 1 KiB")
    parser.add_argument("--provider", help="where it lives: local, daytona, e2b (default: as the installation is set up)")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="may be given again")
    parser.add_argument("--cpus", type=float, help="cores (default and most: those of the settings)")
    parser.add_argument("--memory-mb", type=positive, metavar="MIB")
    parser.add_argument("--disk-mb", type=positive, metavar="MIB")
    reach = parser.add_mutually_exclusive_group()
    reach.add_argument("--egress", action="append", metavar="HOST", help="what it may reach; may be given again (default: as set up)")
    reach.add_argument("--no-egress", action="store_true", help="it may reach nothing")
    parser.add_argument("--ttl", type=positive, metavar="SECONDS", help="it is deleted after so long, whatever it does")
    parser.add_argument("--idle", type=float, metavar="SECONDS", help="it is stopped when nobody used it for so long; 0: never")
    parser.add_argument("--new", action="store_true", help="another one beside those that the user has")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """The id alone on its line. Raises Invalid, Denied, Exhausted, Unavailable."""
    wish = body(args)
    answer = asked(args, Sandboxes, lambda sandboxes: sandboxes.create(wish))
    if args.json:
        print_json(answer)
        return OK
    sandbox, status = (one_line(str(answer.get(name, ""))) for name in ("sandboxId", "status"))
    out().print(sandbox, markup=False)
    err().print(f"It is {status}. {plain(program())} sandboxes show {sandbox}{plain(same_door(args))} tells more.", markup=False)
    return OK


def body(args: argparse.Namespace) -> Object:
    """What is sent; what was not said is the installation's to choose. Raises Invalid."""
    said: Object = {
        "provider": args.provider,
        "labels": _labels(args.label),
        "cpus": args.cpus,
        "memoryMb": args.memory_mb,
        "diskMb": args.disk_mb,
        "egress": [] if args.no_egress else args.egress,
        "ttlSeconds": args.ttl,
        "idleSeconds": args.idle,
        "reuse": False if args.new else None,
    }
    return {"userId": args.user, **{name: value for name, value in said.items() if value is not None}}


def _labels(given: list[str]) -> dict[str, JsonValue] | None:
    pairs = [each.partition("=") for each in given]
    if wrong := next((each for each, (name, sign, _) in zip(given, pairs, strict=True) if not (name and sign)), None):
        raise Invalid(f"--label {wrong} is no label: write NAME=VALUE.")
    return {name: value for name, _, value in pairs} or None
