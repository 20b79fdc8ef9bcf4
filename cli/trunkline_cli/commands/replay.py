"""Shows once more what happened, at its own pace, faster or at once; or writes it into an archive, or takes it into another stack.

One task is told as its gateway tells it; --tenant, --since, --until, --out and --into read the log itself, for whoever runs the
installation.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from trunkline.bus.archive import Archived, Heading
from trunkline.bus.archive_file import opened as archive
from trunkline.bus.exporting import Selection, export, exported, heading_of
from trunkline.bus.importing import Imported, import_archive
from trunkline.bus.settings import BusSettings
from trunkline.bus.visiting import visiting
from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.ids import token, uuid_hex
from trunkline_cli import replaying, sources
from trunkline_cli.console import FAILED, OK, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.nats_place import own_place, reached
from trunkline_cli.pacing import BY_GATEWAY, MAX, speed_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.watching import Pace, watch

LOGS = ("tenant", "since", "until", "out", "into", "from_file")
NAMED = 10
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", nargs="?", default="", metavar="ID", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("--tenant", default="", metavar="NAME", help="everything of one tenant, or the tenant of the task")
    parser.add_argument("--since", metavar="TIME", help="what was stored from then on: a day, or a moment such as 2026-01-31T08:00:00Z")
    parser.add_argument("--until", metavar="TIME", help="what was stored before")
    parser.add_argument("--speed", default="1", metavar="N", help=f"so many times as fast, 0.1 to 1000, or {MAX} (default: 1)")
    parser.add_argument("--from", dest="first", default="", metavar="EVENT", help="of one task, the id of the event to begin with")
    parser.add_argument("--json", action="store_true", help="print one JSON document a line")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write an archive, packed if its name ends in .gz; a cut one goes on")
    parser.add_argument("--from-file", type=Path, metavar="FILE", help="read an archive instead of a log")
    parser.add_argument("--into", metavar="DIR|URL", help="take finished tasks into another stack: its data directory or nats-server")
    add_gateway(parser)
    parser.add_argument("--nats", dest="nats_url", metavar="URL", help="where the log is (default: in the data directory)")
    parser.add_argument("--nats-user", dest="nats_user", metavar="USER", help="its password comes from TRUNKLINE_NATS_PASSWORD")
    parser.add_argument("--config", metavar="FILE", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Raises Invalid, NotFound, Conflict, Exhausted, Unavailable."""
    if any(getattr(args, name) for name in LOGS):
        return asyncio.run(_of_log(args))
    if not args.task:
        raise Invalid("Say what to replay: a task's ID, --tenant, --since, --until or --from-file.")
    return asyncio.run(_of_gateway(args))


async def _of_gateway(args: argparse.Namespace) -> int:
    speed = speed_of(args.speed)
    by_gateway = speed is not None and speed <= BY_GATEWAY
    async with opened(args) as door:
        return await watch(door, args.task, args.json, Pace(args.speed if by_gateway else "", args.first, None if by_gateway else speed))


async def _of_log(args: argparse.Namespace) -> int:
    speed, wanted = speed_of(args.speed), _selection(args)
    if args.into:
        return _told(args, await _taken_over(args, wanted))
    if args.from_file:
        if await replaying.show(_read(archive(args.from_file), wanted), speed, args.json):
            return OK
        raise NotFound("the archive holds nothing of what was asked for", code="NOTHING_THERE")
    async with reached(sources.unchecked(args).load(StackSettings).settings) as settings, visiting(settings) as visit:
        if args.out:
            count = await export(visit, wanted, args.out.expanduser())
            print_json({"file": str(args.out), "records": count}) if args.json else print(f"{args.out}: {count:,} records.")
            return OK
        return OK if await replaying.show(exported(visit, wanted, await heading_of(visit, wanted)), speed, args.json) else FAILED


async def _taken_over(args: argparse.Namespace, wanted: Selection) -> Imported:
    if args.from_file:
        return await _into(args.into, args.from_file, wanted)
    with tempfile.TemporaryDirectory(prefix="trunkline-replay-") as folder:
        file = Path(folder) / "records.gz"
        async with reached(sources.unchecked(args).load(StackSettings).settings) as settings, visiting(settings) as visit:
            await export(visit, wanted, file)
        return await _into(args.into, file, wanted)


async def _into(place: str, file: Path, wanted: Selection) -> Imported:
    if "://" in place:
        user, password = (os.environ.get(f"TRUNKLINE_INTO_{name}", "") for name in ("USER", "PASSWORD"))
        outside = BusSettings.model_validate({"nats_url": place, "nats_user": user, "nats_password": SecretStr(password)})
        async with visiting(outside) as visit:
            return await import_archive(visit, file, wanted)
    async with reached(own_place(Path(place))) as settings, visiting(settings) as visit:
        return await import_archive(visit, file, wanted)


def _told(args: argparse.Namespace, done: Imported) -> int:
    if args.json:
        print_json({"tasks": done.tasks, "records": done.records, "there": done.there, "left_out": list(done.left_out)})
        return OK
    known = f", {done.there:,} were there already" if done.there else ""
    print(f"{done.tasks:,} tasks: {done.records:,} records taken over{known}.")
    if done.left_out:
        print(
            f"Left out, as not over or not whole in the archive: {', '.join(done.left_out[:10])}{' …' if len(done.left_out) > 10 else ''}"
        )
    return OK


async def _read(found: Iterator[Heading | Archived], wanted: Selection) -> AsyncIterator[Archived]:
    for each in found:
        if isinstance(each, Archived) and wanted.holds(each):
            yield each


def _selection(args: argparse.Namespace) -> Selection:
    """Raises Invalid."""
    task = args.task.removeprefix("task_")
    try:
        named = uuid_hex(task) or (token(task) if task else "")
        tenant = token(args.tenant) if args.tenant else ""
    except ValueError as error:
        raise Invalid(f"a task or a tenant is named by 1 to 64 letters, digits, '-' or '_': {error}", code="BAD_SELECTION") from None
    if args.out and (args.from_file or args.into):
        raise Invalid("--out writes what is read from a log; it goes with neither --from-file nor --into", code="BAD_SELECTION")
    if args.first:
        raise Invalid("--from is for a task that a gateway tells; the log is read by --since and --until", code="BAD_SELECTION")
    return Selection(named, tenant, _moment(args.since), _moment(args.until))


def _moment(text: str | None) -> datetime | None:
    """Raises Invalid."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except ValueError:
        raise Invalid(f"{text!r} is neither a day nor a moment such as 2026-01-31T08:00:00Z", code="BAD_SELECTION") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
