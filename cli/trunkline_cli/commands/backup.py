"""Writes down everything of an installation while it runs, or while it rests, into one sealed file that `trunkline restore` puts back."""

from __future__ import annotations

import argparse
import asyncio
import time
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from trunkline.bus.backing_up import Written, back_up
from trunkline.bus.sealed_file import Json, SealedWriter, new_file
from trunkline.bus.visiting import visiting
from trunkline.runtime.clock import now
from trunkline_cli import backup_files, sources
from trunkline_cli.backup_key import key_of
from trunkline_cli.console import OK, err, print_json
from trunkline_cli.nats_place import reached
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import Sources

VERSION = 1


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "place", metavar="DIR|FILE", type=Path, help="a folder, in which the backup is named after the moment, or a new file"
    )
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="the key to seal it with (default: the vault's)")
    parser.add_argument("--json", action="store_true", help="print one JSON document: what the backup holds")
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Conflict, Exhausted, Invalid, NotFound, Unavailable, Unsupported."""
    said, _ = sources.read(args)
    stack = said.load(StackSettings).settings
    began, key = time.monotonic(), key_of(said, stack.root(), args.key_file)
    place = args.place.expanduser()
    file = place / f"trunkline-{now():%Y%m%d-%H%M%S}.backup" if place.is_dir() else place
    written = asyncio.run(_write(said, stack, file, key))
    if args.json:
        print_json({"file": str(file), **written.told()})
        return OK
    mib, took = file.stat().st_size / (1 << 20), time.monotonic() - began
    print(f"{file}: {sum(written.streams.values()):,} messages in {len(written.streams)} streams, {mib:,.1f} MiB, {took:.1f} s.")
    err().print("Nobody reads it without the key of the vault: keep a copy of that key elsewhere, not beside the backup.", markup=False)
    return OK


async def _write(said: Sources, stack: StackSettings, file: Path, key: bytes) -> Written:
    async with reached(stack) as settings, visiting(settings) as visit:
        with new_file(file) as out:
            box = SealedWriter(out, key)
            box.say(_opening(said))
            written = await back_up(visit, box)
            box.say({"files": True})  # last: what the log says is kept, is there by now
            count = backup_files.pack(stack.root(), box.write, written.last_seq)
            box.say({"end": "files", "count": count})
            box.end({"over": written.told()})
    return written


def _opening(said: Sources) -> Json:
    """What it is; settings for people to read, without any secret."""
    rows = [row for row in sources.every_row(said) if row.source != "default"]
    return {
        "backup": uuid4().hex,
        "version": VERSION,
        "at": now().isoformat(timespec="seconds"),
        "trunkline": metadata.version("trunkline"),
        "settings": {row.name: row.value for row in rows},
    }
