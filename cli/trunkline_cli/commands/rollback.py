"""Puts released work where a version that knows no lines finds it, once the routers and sandbox services of this one are gone."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping

from trunkline.bus.going_back import PutBack, put_back
from trunkline.bus.visiting import visiting
from trunkline_cli import sources
from trunkline_cli.console import OK, print_json
from trunkline_cli.nats_place import reached
from trunkline_cli.settings import StackSettings


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document: how much of which pool")
    parser.add_argument("--data-dir", metavar="DIR", help="of the installation, where its nats-server is its own")
    parser.add_argument("--nats", dest="nats_url", metavar="URL", help="where the queue is (default: in the data directory)")
    parser.add_argument("--nats-user", dest="nats_user", metavar="USER", help="its password comes from TRUNKLINE_NATS_PASSWORD")
    parser.add_argument("--config", metavar="FILE", help="settings file (default: ./trunkline.toml, then <data-dir>/trunkline.toml)")


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Unavailable."""
    done = asyncio.run(_put_back(sources.unchecked(args).load(StackSettings).settings))
    if args.json:
        print_json({"moved": {**done.moved}, "left": {**done.left}})
        return OK
    print(f"{done.moved.total():,} released tasks are where an earlier version finds them{_by_pool(done.moved)}.")
    if done.left:
        print(f"{done.left.total():,} wait for agents elsewhere until this version is there again{_by_pool(done.left)}.")
    return OK


async def _put_back(stack: StackSettings) -> PutBack:
    async with reached(stack) as settings, visiting(settings) as visit:
        return await put_back(visit)


def _by_pool(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{pool} {count:,}" for pool, count in sorted(counts.items()))
    return f" ({told})" if told else ""
