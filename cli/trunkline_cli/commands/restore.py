"""Puts a backup back into an empty place; cut in the middle, it is begun again by the same command."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from trunkline.bus.restoring import Restored, restore
from trunkline.bus.sealed_file import Json, Piece, pieces, reported
from trunkline.bus.settings import BusSettings
from trunkline.bus.visiting import visiting
from trunkline.contracts.errors import Invalid
from trunkline_cli import backup_files, sources
from trunkline_cli.backup_key import key_of
from trunkline_cli.console import OK, print_json
from trunkline_cli.nats_place import own_server, place_of
from trunkline_cli.services import settings_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import Sources


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="as `trunkline backup` wrote it")
    parser.add_argument("--check", action="store_true", help="only read it to its end and say what it holds")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="the key that it was sealed with (default: the vault's)")
    parser.add_argument("--json", action="store_true", help="print one JSON document: what was put back")
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Conflict, Exhausted, Invalid, Unavailable, Unsupported."""
    said, _ = sources.read(args)
    stack = said.load(StackSettings).settings
    key = key_of(said, stack.root(), args.key_file)
    opening, held = _read_through(args.file, key)  # damage is found before anything is put anywhere
    if args.check:
        _tell(args, {**opening, **held}, f"{args.file} is whole: {_words(opening, held)}.")
        return OK
    done = asyncio.run(_put_back(said, stack, args.file, key))
    told: Json = {"epoch": done.epoch, "last_seq": done.last_seq, "messages": done.messages, "consumers": done.consumers}
    where = (stack.nats_url and "the nats-server") or str(stack.root())
    _tell(args, told, f"Restored into {where}: {_words(opening, held)}. Start it with `trunkline up`, or its services.")
    return OK


def _tell(args: argparse.Namespace, told: Json, text: str) -> None:
    if args.json:
        print_json(told)
    else:
        print(text)


def _words(opening: Json, held: Json) -> str:
    streams = held["streams"]
    return f"the installation as it was at {opening['at']}, {sum(streams.values()):,} messages in {len(streams)} streams"


def _read_through(path: Path, key: bytes) -> tuple[Json, Json]:
    """What the backup says of itself at both ends. Raises Invalid."""
    first: Json = {}
    last: Piece = {}
    for last in _pieces(path, key):
        first = first or (last if isinstance(last, dict) else {})
    if not isinstance(last, dict) or "over" not in last or "backup" not in first:
        raise Invalid("the backup was not written to its end", code="BACKUP_DAMAGED")
    return first, last["over"]


def _pieces(path: Path, key: bytes) -> Iterator[Piece]:
    with reported(path), path.expanduser().open("rb", buffering=1 << 20) as file:
        yield from pieces(file, key)


async def _put_back(said: Sources, stack: StackSettings, file: Path, key: bytes) -> Restored:
    place = place_of(stack) if stack.nats_url else None
    if place:
        return await _into(said, place.settings, _pieces(file, key), None if not _wants_files(said) else stack.root())
    async with own_server(stack.root(), int(stack.nats_store_limit)) as settings:
        return await _into(said, settings, _pieces(file, key), stack.root())


def _wants_files(said: Sources) -> bool:
    """Into an outside nats-server alone go no files, unless somebody says where they belong."""
    return "data_dir" in said.flags


async def _into(said: Sources, settings: BusSettings, found: Iterator[Piece], root: Path | None) -> Restored:
    replicas = int(getattr(said.load(settings_of("router")).settings, "replicas", 1))
    async with visiting(settings) as visit:
        if root is None:
            return await restore(visit, found, replicas, None)
        with reported(root):
            return await restore(visit, found, replicas, partial(backup_files.unpack, root))
