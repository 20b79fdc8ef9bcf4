"""The witness of the log: what is done to the store behind nats-server's back is found at the next start, and by `trunkline verify`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.errors import ServerError

from trunkline.audit.book import CHECKPOINTS, LINKS, WITNESS
from trunkline.audit.stretches import LINK
from trunkline.auth.audit_keys import audit_key
from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.integrity import GetIntegrity, Integrity, IntegrityView
from trunkline.contracts.record import Record
from trunkline.contracts.task import EventPublished
from trunkline.runtime.clock import now
from trunkline_cli.__main__ import main
from trunkline_cli.nats_place import own_server
from trunkline_relay.handlers import witness
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import running

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]
TENANTS = ("north", "south")
SEALED = 300
"""Records under one checkpoint here: a log of thousands would say no more."""
WRITTEN = SEALED + 20
"""The last of which are signed for when the relay stops."""


def store(root: Path) -> Path:
    return root / "nats" / "store"


@asynccontextmanager
async def installation(root: Path, copy: Path | None = None) -> AsyncIterator[Bus]:
    """A nats-server and a relay on `root`, as `trunkline up` has them."""
    async with own_server(root, 1 << 30) as at:
        reached = at.model_dump(include={"nats_url", "nats_user", "nats_password"})
        settings = Settings(**reached, data_dir=root, audit_copy_file=copy)
        async with connect(BusSettings(**reached), "test") as bus, running(settings):
            yield bus


@asynccontextmanager
async def beside_it(root: Path) -> AsyncIterator[JetStreamContext]:
    """The streams of one at rest, for whoever has the password."""
    async with own_server(root, 1 << 30) as at:
        client = await nats.connect(at.nats_url, user=at.nats_user, password=at.nats_password.get_secret_value())
        yield client.jetstream()
        await client.close()


async def integrity(bus: Bus) -> IntegrityView:
    told = await bus.commands.send("relay", "-", GetIntegrity(tenant=TENANTS[0], at=now()))
    return IntegrityView.model_validate(told.body)


async def until(bus: Bus, state: Integrity, sealed: int) -> IntegrityView:
    async with asyncio.timeout(20):
        while (view := await integrity(bus)).state is not state or view.sealed < sealed:  # noqa: ASYNC110  # a process far away
            await asyncio.sleep(0.05)
    return view


async def write(bus: Bus, first: int, count: int) -> None:
    """So many events, each known by its number."""

    async def one(number: int) -> None:
        subject = subjects.event(TenantId(TENANTS[number % 2]), TaskId(f"task-{number % 7}"), "message")
        fact = EventPublished(event_type="test.said", by="test", payload={"number": f"number-{number}-"})
        await bus.log.say(subject, Record(at=now(), facts=(fact,)), id=f"event-{number}")

    for start in range(first, first + count, 100):
        async with asyncio.TaskGroup() as group:
            for number in range(start, min(start + 100, first + count)):
                group.create_task(one(number))


class Place(NamedTuple):
    """Of one record: its number in the log and in what was written, and whose it is."""

    seq: int
    number: int
    tenant: str


Places = dict[int, Place]


async def written(root: Path) -> Places:
    """What lies where."""
    places: Places = {}
    async with installation(root) as bus:
        await until(bus, Integrity.WHOLE, 0)
        await write(bus, 0, WRITTEN)
        await until(bus, Integrity.WHOLE, SEALED)
        async for stored in bus.log.follow(0):
            (fact,) = stored.record.facts
            assert isinstance(fact, EventPublished)
            number = int(str(fact.payload["number"]).split("-")[1])
            places[stored.seq] = Place(stored.seq, number, TENANTS[number % 2])
            if len(places) == WRITTEN:
                return places
    raise AssertionError("a log does not end")


async def verify(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = await asyncio.to_thread(main, ["verify", "--data-dir", str(root), "--json", *words])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else [{"refused": said.err}]


def messages(root: Path) -> Path:
    return next(store(root).glob("jetstream/CONTROL/streams/EVENTS/msgs/*.blk"))


@pytest.fixture(scope="module", autouse=True)
def sealed_sooner() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(witness, "SEAL_EVERY", SEALED)
        yield


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Places]:
    """An installation at rest, with a log that a checkpoint covers."""
    root = tmp_path_factory.mktemp("kept")
    return root, asyncio.run(written(root))


@pytest.fixture
def root(kept: tuple[Path, Places], tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept[0], tmp_path / "data"))


@pytest.fixture(scope="module")
def places(kept: tuple[Path, Places]) -> Places:
    return kept[1]


Found = tuple[str, int, int, str]


async def found_at_rest(root: Path, capsys: pytest.CaptureFixture[str]) -> list[Found]:
    """What the command says: kind, first, last, tenant."""
    code, (verdict,) = await verify(root, capsys)
    assert (code, verdict["whole"]) == (1, False)
    return [(each["kind"], each["first"], each["last"], each["tenant"]) for each in verdict["findings"]]


async def found_at_a_start(root: Path) -> list[str]:
    async with installation(root) as bus:
        return list((await until(bus, Integrity.BROKEN, 0)).findings)


async def test_a_log_that_nobody_touched_is_whole_to_the_relay_and_to_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, (verdict,) = await verify(root, capsys)
    assert (code, verdict["whole"], verdict["compared"]) == (0, True, WRITTEN)
    async with installation(root) as bus:
        assert (await until(bus, Integrity.WHOLE, SEALED)).findings == ()
        code, (verdict,) = await verify(root, capsys)  # of one that runs, as it runs
        assert (code, verdict["whole"]) == (0, True)


async def test_a_tenants_archive_is_proven_by_itself_far_from_any_log(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, books = tmp_path / "north.gz", tmp_path / "books"
    words = ["replay", "--data-dir", str(root), "--tenant", TENANTS[0], "--out", str(archive)]
    assert await asyncio.to_thread(main, words) == 0
    books.mkdir()
    for name in (CHECKPOINTS, WITNESS):
        shutil.copy(root / "audit" / "relay-0" / name, books)
    away = tmp_path / "nowhere"
    code, (verdict,) = await verify(away, capsys, "--archive", str(archive), "--books", str(books))
    assert (code, verdict["compared"], verdict["unproven"]) == (0, WRITTEN // 2, 0)
    other = tmp_path / "other.pem"
    other.write_bytes(audit_key(tmp_path / "other.key").witness.pem())
    code, (verdict,) = await verify(away, capsys, "--archive", str(archive), "--books", str(books), "--public-key", str(other))
    assert code == 1 and "not signed by the key" in verdict["findings"][0]["said"]


async def test_an_emptied_log_is_told_and_not_waited_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with beside_it(root) as streams:
        with pytest.raises(ServerError, match="not permitted"):
            await streams.delete_msg("EVENTS", WRITTEN)  # a single one nobody takes out by the bus
        await streams.purge_stream("EVENTS")
    ((kind, _, last, _),) = await found_at_rest(root, capsys)
    assert (kind, last) == ("early", WRITTEN)


async def test_a_flipped_bit_is_found_at_its_record(root: Path, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    """nats-server leaves out what it cannot read, and says nothing."""
    seq, number, tenant = places[151]
    file = messages(root)
    whole = bytearray(file.read_bytes())
    whole[whole.index(f"number-{number}-".encode()) + 7] ^= 1
    file.write_bytes(whole)
    assert await found_at_rest(root, capsys) == [("missing", seq, seq, tenant)]
    assert await found_at_a_start(root) == [f"record {seq} was written, and is not there any more (tenant {tenant})"]


async def test_a_flipped_bit_of_the_book_is_told_as_that_and_hides_nothing(
    root: Path, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    """A link of record 4 becomes one of record 0, which was the end of all links once."""
    links, file = root / "audit" / "relay-0" / LINKS, messages(root)
    whole = bytearray(links.read_bytes())
    whole[3 * LINK + 7] ^= 4
    links.write_bytes(whole)
    assert await found_at_rest(root, capsys) == [("book", 4, 4, "")]
    assert await found_at_a_start(root) == ["record 4 is what was written; the book's own link of it was changed"]
    assert links.read_bytes() == whole  # and nothing was signed for
    _, number, tenant = places[151]
    file.write_bytes(file.read_bytes().replace(f"number-{number}-".encode(), f"number-{number}+".encode()))
    assert await found_at_rest(root, capsys) == [("links", 1, SEALED, ""), ("chain", 1, SEALED, tenant)]
    for name in (LINKS, CHECKPOINTS):
        (root / "audit" / "relay-0" / name).write_bytes(b"")
    assert [each[0] for each in await found_at_rest(root, capsys)] == ["unsigned"]


async def test_a_bit_that_was_flipped_with_its_checksum_is_found_at_its_record(
    root: Path, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stream was written anew, as it was but for one bit: nats-server takes all of it."""
    seq, number, tenant = places[151]
    marker = f"number-{number}-".encode()
    async with beside_it(root) as streams:
        config = (await streams.stream_info("EVENTS")).config
        messages = [await streams.get_msg("EVENTS", each) for each in sorted(places)]
        await streams.delete_stream("EVENTS")
        await streams.add_stream(config)
        for message in messages:
            data = (message.data or b"").replace(marker, marker.replace(b"r", b"s"))  # the lowest bit of one letter
            stored = await streams.publish(message.subject or "", data, headers=message.headers)
            assert stored.seq == message.seq
    assert await found_at_rest(root, capsys) == [("changed", seq, seq, tenant)]
    assert await found_at_a_start(root) == [f"record {seq} is not what was written (tenant {tenant})"]


@pytest.mark.parametrize(
    ("remembered", "kind", "said"),
    [
        (True, "missing", "was written, and is not there any more"),
        (False, "cut", "was written, and the log ends before it: its tail was cut off, or an old copy was restored"),
    ],
)
async def test_a_tail_that_was_cut_is_found_at_its_first_record(
    root: Path, places: Places, capsys: pytest.CaptureFixture[str], remembered: bool, kind: str, said: str
) -> None:
    """In the middle of a record; nats-server may remember how long its log was, and then gives no number out twice."""
    first, file = WRITTEN - 30, messages(root)  # under two checkpoints: the last one was signed when the relay stopped
    os.truncate(file, file.read_bytes().index(f"number-{places[first].number}-".encode()))
    if not remembered:
        file.with_name("index.db").unlink()
    found = await found_at_rest(root, capsys)
    assert ({each[0] for each in found}, found[0][1], found[-1][2]) == ({kind}, first, WRITTEN)
    told = await found_at_a_start(root)
    assert all(said in each for each in told) and f" {first} " in told[0] and f" {WRITTEN} " in told[-1]


async def test_a_log_that_nats_server_does_not_know_any_more_is_missed(root: Path) -> None:
    """A bit of what the stream is was flipped: nats-server passes over all of it, and the next start makes it anew over its records."""
    file = store(root) / "jetstream/CONTROL/streams/EVENTS/meta.inf"
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 4
    file.write_bytes(whole)
    words = (sys.executable, "-m", "trunkline_cli", "verify", "--data-dir", str(root))
    program = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    told, _ = await asyncio.wait_for(program.communicate(), 30)
    assert program.returncode == 1 and f"each of the records 1 to {WRITTEN} was written, and there is no log any more" in " ".join(
        told.decode().split()
    )
    assert await found_at_a_start(root) == [
        f"each of the records 1 to {WRITTEN} belongs to another life of the log: all of it was replaced"
    ]


async def test_a_restored_old_copy_is_found_before_anybody_builds_on_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, copy, end = shutil.copytree(root, tmp_path / "old"), tmp_path / "copy.jsonl", WRITTEN + SEALED
    async with installation(root, copy) as bus:
        await until(bus, Integrity.WHOLE, SEALED)
        await write(bus, 5000, SEALED)
        await until(bus, Integrity.WHOLE, 2 * SEALED)
    shutil.rmtree(store(root))
    shutil.copytree(store(old), store(root))
    async with installation(root) as bus:
        (said,) = (await until(bus, Integrity.BROKEN, 0)).findings
        assert said.startswith(f"each of the records {WRITTEN + 1} to {end} was written, and the log ends before it")
        await write(bus, 9000, 10)  # life goes on: nothing of it is signed for
        assert (await integrity(bus)).state is Integrity.BROKEN
    *others, cut = await found_at_rest(root, capsys)
    assert {each[0] for each in others} == {"changed"} and others[0][1] == WRITTEN + 1
    assert cut == ("cut", WRITTEN + 11, end, "")
    shutil.rmtree(root)
    shutil.copytree(old, root)  # its book too: only what is kept elsewhere knows better
    async with installation(root, copy) as bus:
        (said,) = (await until(bus, Integrity.BROKEN, 0)).findings
        assert said.startswith(f"each of the records {WRITTEN + 1} to {end} was signed for, as the copy of the checkpoints says")
    assert (await verify(root, capsys))[0] == 0
    code, (_, verdict) = await verify(root, capsys, "--copy", str(copy))
    assert code == 1 and "in no book: log and book were turned back together" in verdict["findings"][0]["said"]


async def test_a_break_that_somebody_accepts_is_kept_and_a_new_book_begins(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "audit" / "relay-0" / "checkpoints.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"links":300', b'"links":301'))
    async with installation(root) as bus:
        assert "not signed" in (await until(bus, Integrity.BROKEN, 0)).findings[0]
        assert (await verify(root, capsys, "--accept", "too early"))[0] == 2  # while it runs
    await verify(root, capsys, "--accept", "a test did it")
    accepted = json.loads(next((root / "audit").glob("accepted-*/accepted.json")).read_text())
    assert accepted["why"] == "a test did it" and accepted["verdicts"][0]["whole"] is False
    async with installation(root) as bus:
        await until(bus, Integrity.WHOLE, SEALED)
