"""Writes down everything of an installation while it runs, or while it rests, into one sealed file that `trunkline restore` puts back."""

from __future__ import annotations

import argparse
import asyncio
import time
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from trunkline.bus.backing_up import back_up
from trunkline.bus.sealed_file import Json, SealedWriter, new_file
from trunkline.bus.visiting import visiting
from trunkline.runtime.clock import now
from trunkline.runtime.settings import Source
from trunkline_cli import backup_files, sources
from trunkline_cli.backup_key import key_of
from trunkline_cli.console import OK, err, print_json
from trunkline_cli.nats_place import reached
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import Sources

VERSION = 1
LEFT = (
    "Not in it: the files of {count} named sandboxes of this machine, which stay here. Where it is restored, each is in error "
    "(SANDBOX_VANISHED), and the next create makes another."
)


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
    stack, root = said.load(StackSettings).settings, _root(said)
    began, key = time.monotonic(), key_of(said, root, args.key_file)
    place = args.place.expanduser()
    file = place / f"trunkline-{now():%Y%m%d-%H%M%S}.backup" if place.is_dir() else place
    with new_file(file) as out:
        held = asyncio.run(_write(said, stack, root, SealedWriter(out, key)))
    if args.json:
        print_json({"file": str(file), **held})
    else:
        _tell(file, held, time.monotonic() - began)
    return OK


def _root(said: Sources) -> Path | None:
    """Whose files go in: those of this machine's installation; beside an outside nats-server only where somebody says which they are."""
    loaded = said.load(StackSettings)
    return loaded.settings.root() if not loaded.settings.nats_url or loaded.sources["data_dir"] is not Source.DEFAULT else None


def _tell(file: Path, held: Json, took: float) -> None:
    mib, messages = file.stat().st_size / (1 << 20), sum(held["streams"].values())
    print(f"{file}: {messages:,} messages in {len(held['streams'])} streams, {held['files']:,} files, {mib:,.1f} MiB, {took:.1f} s.")
    if held["sandboxes_left_out"]:
        err().print(LEFT.format(count=held["sandboxes_left_out"]), markup=False)
    err().print("Nobody reads it without the key of the vault: keep a copy of that key elsewhere, not beside the backup.", markup=False)


async def _write(said: Sources, stack: StackSettings, root: Path | None, box: SealedWriter) -> Json:
    """Returns what it holds."""
    async with reached(stack) as settings, visiting(settings) as visit:
        box.say(_opening(said))
        written, files, left = await back_up(visit, box), 0, 0
        if root:
            box.say({"files": True})  # last: what the log says is kept, is there by now
            files, left = backup_files.pack(root, box.write, written.last_seq), backup_files.named_sandboxes(root)
            box.say({"end": "files", "count": files})
        held: Json = {**written.told(), "files": files, "sandboxes_left_out": left}
        box.end({"over": held})
    return held


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
