"""The witness of the log: what is done to the store behind nats-server's back is found at the next start, and by `trunkline verify`."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest

from trunkline.audit.book import CHECKPOINTS, WITNESS
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
async def installation(root: Path) -> AsyncIterator[Bus]:
    """A nats-server and a relay on `root`, as `trunkline up` has them."""
    async with own_server(root, 1 << 30) as at:
        reached = at.model_dump(include={"nats_url", "nats_user", "nats_password"})
        async with connect(BusSettings(**reached), "test") as bus, running(Settings(**reached, data_dir=root)):
            yield bus


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


async def written(root: Path, *, bury: bool = False) -> None:
    async with installation(root) as bus:
        await until(bus, Integrity.WHOLE, 0)
        await write(bus, 0, WRITTEN)
        await until(bus, Integrity.WHOLE, SEALED)


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
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation at rest, with a log that a checkpoint covers."""
    root = tmp_path_factory.mktemp("kept")
    asyncio.run(written(root))
    return root


@pytest.fixture
def root(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "data"))


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
    async with own_server(root, 1 << 30) as at:
        client = await nats.connect(at.nats_url, user=at.nats_user, password=at.nats_password.get_secret_value())
        await client.jetstream().purge_stream("EVENTS")
        await client.close()
    code, (verdict,) = await verify(root, capsys)
    assert code == 1 and [(each["kind"], each["last"]) for each in verdict["findings"]] == [("early", WRITTEN)]


async def test_a_flipped_bit_is_found_at_its_record(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = messages(root)
    whole = bytearray(file.read_bytes())
    place = whole.index(b"number-150-")
    whole[place + 7] ^= 1
    file.write_bytes(whole)
    code, (verdict,) = await verify(root, capsys)
    assert (code, verdict["whole"]) == (1, False)
    (finding,) = verdict["findings"]
    assert finding["first"] == finding["last"] and 100 < finding["first"] < 220, finding


async def test_a_restored_old_copy_is_found_before_anybody_builds_on_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = shutil.copytree(store(root), tmp_path / "old")
    async with installation(root) as bus:
        await until(bus, Integrity.WHOLE, SEALED)
        await write(bus, 5000, SEALED)
        await until(bus, Integrity.WHOLE, 2 * SEALED)
    shutil.rmtree(store(root))
    shutil.copytree(old, store(root))
    async with installation(root) as bus:
        view = await until(bus, Integrity.BROKEN, 0)
        assert "its tail was cut off, or an old copy was restored" in view.findings[0]
        await write(bus, 9000, 10)  # life goes on: nothing of it is signed for
        assert (await integrity(bus)).state is Integrity.BROKEN
    code, (verdict,) = await verify(root, capsys)
    assert code == 1 and {each["kind"] for each in verdict["findings"]} == {"changed", "cut"}


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
