"""Puts a backup back into an empty place; cut in the middle, it is begun again by the same command."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from trunkline.bus.restoring import Restored, put_files, restore
from trunkline.bus.sealed_file import Json, Piece, pieces, reported
from trunkline.bus.settings import BusSettings
from trunkline.bus.visiting import visiting
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.runtime.settings import Source
from trunkline_cli import backup_files, sources, unfinished
from trunkline_cli.backup_key import key_of
from trunkline_cli.console import OK, err, print_json
from trunkline_cli.data_dir import held
from trunkline_cli.nats_place import own_server, place_of
from trunkline_cli.services import settings_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import Sources


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="as `trunkline backup` wrote it")
    parser.add_argument("--check", action="store_true", help="only read it to its end and say what it holds")
    parser.add_argument("--files", action="store_true", help="only its files, into --data-dir: for one machine of several")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="the key that it was sealed with (default: the vault's)")
    parser.add_argument("--json", action="store_true", help="print one JSON document: what was put back")
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Conflict, Exhausted, Invalid, Unavailable, Unsupported."""
    said, _ = sources.read(args)
    stack = said.load(StackSettings).settings
    key = key_of(said, stack.root(), args.key_file)
    opening, last = _read_through(args.file, key)  # damage is found before anything is put anywhere
    if args.check:
        _tell(args, {**opening, **last}, f"{args.file} is whole: {_words(opening, last)}.")
        return OK
    if args.files:
        _only_files(stack.root(), _pieces(args.file, key), str(opening["backup"]))
        _tell(args, {"files": last.get("files", 0)}, f"The files of {args.file} are in {stack.root()}: {_words(opening, last)}.")
        return OK
    done = asyncio.run(_put_back(said, stack, _pieces(args.file, key), str(opening["backup"])))
    told: Json = {"epoch": done.epoch, "last_seq": done.last_seq, "messages": done.messages, "consumers": done.consumers}
    told["already"] = done.already
    where = (stack.nats_url and "the nats-server") or str(stack.root())
    what = "Was restored, to its end, into" if done.already else "Restored into"
    if last.get("files") and not (done.files or done.already):
        err().print(f"Its {last['files']:,} files were left out: with --data-dir they are put there.", markup=False)
    _tell(args, told, f"{what} {where}: {_words(opening, last)}. Start it with `trunkline up`, or its services.")
    return OK


def _tell(args: argparse.Namespace, told: Json, text: str) -> None:
    if args.json:
        print_json(told)
    else:
        print(text)


def _words(opening: Json, last: Json) -> str:
    streams = last["streams"]
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


async def _put_back(said: Sources, stack: StackSettings, found: Iterator[Piece], backup: str) -> Restored:
    root, own = stack.root(), not stack.nats_url
    begin = partial(unfinished.begin, backup=backup, own=own)
    if own:
        async with own_server(root, int(stack.nats_store_limit), begin) as settings:
            return await _into(said, settings, found, root)
    place = place_of(stack)
    assert place
    if not _wants_files(said):
        return await _into(said, place.settings, found, None)
    with held(root):
        begin(root)
        return await _into(said, place.settings, found, root)


def _only_files(root: Path, found: Iterator[Piece], backup: str) -> None:
    """Raises Conflict NOT_EMPTY, NotFound."""
    with held(root):
        unfinished.begin(root, backup, own=False)
        with reported(root), _unmarked(root):
            there = put_files(found, partial(backup_files.unpack, root))
    if not there:
        raise NotFound("this backup is of a nats-server alone, and holds no files", code="NOTHING_THERE")


def _wants_files(said: Sources) -> bool:
    """Into an outside nats-server alone go no files, unless somebody says where they belong."""
    return "data_dir" in said.flags


async def _into(said: Sources, settings: BusSettings, found: Iterator[Piece], root: Path | None) -> Restored:
    router = said.load(settings_of("router"))
    replicas = 0 if router.sources["replicas"] is Source.DEFAULT else int(getattr(router.settings, "replicas", 1))
    async with visiting(settings) as visit:
        if root is None:
            return await restore(visit, found, replicas, None)
        with reported(root), _unmarked(root):
            take = partial(backup_files.unpack, root)
            done = await restore(visit, found, replicas, take)
            if done.already and unfinished.is_unfinished(root):  # the streams went first, or an earlier try was cut between the two marks
                done.files = put_files(found, take)
            return done


@contextmanager
def _unmarked(root: Path) -> Iterator[None]:
    """The mark goes when all is done, or when there was something in the way and nothing was done."""
    try:
        yield
    except Conflict:
        unfinished.end(root)
        raise
    unfinished.end(root)
