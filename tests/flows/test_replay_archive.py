"""Records of one log as an archive, and finished tasks out of it in another log: under their own ids, once, and as history alone."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trunkline.bus import Bus, BusSettings, Stored, connect
from trunkline.bus.archive import Archived, Heading
from trunkline.bus.archive_file import opened, written
from trunkline.bus.exporting import Selection, export, exported, heading_of
from trunkline.bus.imported import IMPORTED
from trunkline.bus.importing import Imported, import_archive
from trunkline.bus.visiting import visiting
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict, DomainError, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.task import Assignment, EventPublished, TaskAssigned, TaskFailed, TaskSubmitted
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = [pytest.mark.flow, pytest.mark.timeout(60)]

ACME, GLOBEX = TenantId("acme"), TenantId("globex")
OVER, OPEN, OTHER = (TaskId(digit * 32) for digit in "123")
ASKED = Assignment(repo="acme/shop", prompt="Fix it.")
BEGUN = TaskSubmitted(assignment=ASKED, submitted_by="ann", deadline_at=datetime(2030, 1, 1, tzinfo=UTC))
ALL = Selection()
FAILED = TaskFailed(code="X", error="No luck.")


@pytest.fixture(scope="module")
def source() -> Iterator[NatsServer]:
    """A log with a task that is over, one that goes on, and one of another tenant."""
    with nats_server() as server:
        asyncio.run(filled(server))
        yield server


@pytest.fixture
def target() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


def at(server: NatsServer) -> BusSettings:
    return BusSettings(nats_url=server.url)


async def filled(server: NatsServer) -> None:
    async with connect(at(server), "test") as bus:
        for number, (tenant, task) in enumerate([(ACME, OVER), (ACME, OPEN), (GLOBEX, OTHER)]):
            await say(bus, (tenant, task, subjects.TASK), f"{number}a", BEGUN, TaskAssigned(pool="dev", attempt=1))
            await say(bus, (tenant, task, subjects.MESSAGE), f"{number}b", EventPublished(event_type="note.made", by="ann"))
        await say(bus, (ACME, OVER, subjects.TASK), "0c", FAILED)
        await say(bus, (GLOBEX, OTHER, subjects.TASK), "2c", FAILED)


async def say(bus: Bus, place: tuple[TenantId, TaskId, str], id: str, *facts: Fact) -> int:
    return await bus.log.say(subjects.event(*place), Record(at=now(), facts=facts), id=id)


async def out(server: NatsServer, path: Path, wanted: Selection = ALL) -> int:
    async with visiting(at(server)) as visit:
        return await export(visit, wanted, path)


async def into(server: NatsServer, path: Path) -> Imported:
    async with connect(at(server), "test"), visiting(at(server)) as visit:
        return await import_archive(visit, path)


def ids(path: Path) -> list[str]:
    return [each.id for each in opened(path) if isinstance(each, Archived)]


async def timeline(server: NatsServer, task: TaskId, tenant: TenantId = ACME) -> list[tuple[str, str, bytes]]:
    async with connect(at(server), "test") as bus:
        return [(each.subject, each.id, each.body) for each in (await bus.log.load(subjects.timeline(tenant, task))).records]


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
async def test_an_archive_holds_what_was_asked_for_in_the_order_of_the_log(source: NatsServer, tmp_path: Path, name: str) -> None:
    assert await out(source, tmp_path / name) == 8
    assert ids(tmp_path / name) == ["0a", "0b", "1a", "1b", "2a", "2b", "0c", "2c"]
    heading, first, *_ = opened(tmp_path / name)
    assert isinstance(heading, Heading)
    assert isinstance(first, Archived)
    assert (heading.first, heading.last, first.seq, first.time[:2]) == (1, 8, 1, "20")
    assert (tmp_path / name).read_bytes()[:2] == (b"\x1f\x8b" if name.endswith("gz") else b'{"')
    for wanted, found in [
        (Selection(task=OVER), ["0a", "0b", "0c"]),
        (Selection(tenant=GLOBEX), ["2a", "2b", "2c"]),
        (Selection(tenant=ACME, until=datetime(2100, 1, 1, tzinfo=UTC)), ["0a", "0b", "1a", "1b", "0c"]),
    ]:
        part = tmp_path / f"{found[-1]}-{len(found)}-{name}"
        await out(source, part, wanted)
        assert ids(part) == found


async def test_a_stretch_of_time_begins_and_ends_where_it_is_said_to(source: NatsServer, tmp_path: Path) -> None:
    await out(source, tmp_path / "all")
    times = [datetime.fromisoformat(each.time) for each in opened(tmp_path / "all") if isinstance(each, Archived)]
    await out(source, tmp_path / "middle", Selection(since=times[2], until=times[5]))
    assert ids(tmp_path / "middle") == ["1a", "1b", "2a"]
    with pytest.raises(NotFound):
        await out(source, tmp_path / "none", Selection(since=datetime(2100, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize("name", ["cut.jsonl", "cut.jsonl.gz"])
async def test_what_was_cut_is_gone_on_with_and_becomes_the_same(source: NatsServer, tmp_path: Path, name: str) -> None:
    await out(source, tmp_path / f"whole-{name}")
    async with visiting(at(source)) as visit:
        heading = await heading_of(visit, Selection())
        with pytest.raises(KeyboardInterrupt), written(tmp_path / name, heading) as (archive, _):
            async for record in exported(visit, Selection(), heading):
                archive.add(record)
                archive.flush()
                if record.seq == 5:
                    raise KeyboardInterrupt
    part = tmp_path / f"{name}.part"
    with part.open("ab") as file:
        file.write(part.read_bytes()[-40:-20])  # as a kill leaves it: the last bytes are none
    assert await out(source, tmp_path / name) == 8
    assert list(opened(tmp_path / name)) == list(opened(tmp_path / f"whole-{name}"))
    assert not part.exists()
    (tmp_path / f"{name}.other.part").write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(Conflict):
        await out(source, tmp_path / name)


async def test_finished_tasks_go_over_once_and_others_stay_where_they_are(source: NatsServer, target: NatsServer, tmp_path: Path) -> None:
    await out(source, tmp_path / "all.gz")
    done = await into(target, tmp_path / "all.gz")
    assert (done.tasks, done.records, done.there, done.left_out) == (2, 6, 0, [f"acme/{OPEN}"])
    assert await timeline(target, OVER) == await timeline(source, OVER)
    assert await timeline(target, OTHER, GLOBEX) == await timeline(source, OTHER, GLOBEX)
    again = await into(target, tmp_path / "all.gz")
    assert (again.records, again.there) == (0, 6)
    assert len(await timeline(target, OVER)) == 3


async def test_of_an_archive_that_alone_is_taken_over_which_was_asked_for(source: NatsServer, target: NatsServer, tmp_path: Path) -> None:
    await out(source, tmp_path / "all")
    records = [each for each in opened(tmp_path / "all") if isinstance(each, Archived)]
    third = datetime.fromisoformat(records[2].time)
    for wanted, ids_ in [
        (Selection(tenant=GLOBEX), ["2a", "2b", "2c"]),
        (Selection(task=OVER), ["0a", "0b", "0c"]),
        (Selection(tenant=ACME, until=third), ["0a", "0b"]),
        (Selection(tenant=GLOBEX, task=OVER), []),
    ]:
        assert [each.id for each in records if wanted.holds(each)] == ids_
    async with connect(at(target), "test"), visiting(at(target)) as visit:
        with pytest.raises(NotFound):
            await import_archive(visit, tmp_path / "all", Selection(tenant=TenantId("nobody")))
        done = await import_archive(visit, tmp_path / "all", Selection(tenant=GLOBEX))
    assert (done.tasks, done.records, done.left_out) == (1, 3, [])
    assert await timeline(target, OVER) == []


async def test_a_cut_import_goes_on_where_it_was(source: NatsServer, target: NatsServer, tmp_path: Path) -> None:
    await out(source, tmp_path / "one", Selection(task=OVER))
    first = await timeline(source, OVER)
    async with connect(at(target), "test") as bus:  # what a killed import had written
        await bus.client.jetstream().publish(first[0][0], first[0][2], headers={"Nats-Msg-Id": first[0][1]})
    done = await into(target, tmp_path / "one")
    assert (done.records, done.there) == (2, 1)
    assert await timeline(target, OVER) == first


async def test_a_task_that_is_there_with_other_facts_is_mixed_with_nothing(source: NatsServer, target: NatsServer, tmp_path: Path) -> None:
    await out(source, tmp_path / "all")
    async with connect(at(target), "test") as bus:
        await say(bus, (GLOBEX, OTHER, subjects.TASK), "mine", BEGUN)
    with pytest.raises(Conflict) as refused:
        await into(target, tmp_path / "all")
    assert (refused.value.code, OTHER in refused.value.message) == ("OTHER_FACTS", True)
    assert await timeline(target, OVER) == []
    with pytest.raises(Conflict) as refused:
        await into(source, tmp_path / "all")
    assert refused.value.code == "SAME_LOG"


async def test_nobody_acts_on_what_was_imported(source: NatsServer, target: NatsServer, tmp_path: Path) -> None:
    heard: list[str] = []
    own = asyncio.Event()

    async def act(stored: Stored) -> None:
        heard.append(subjects.parse_event(stored.subject).task)
        own.set()

    await out(source, tmp_path / "all")
    async with connect(at(target), "test") as bus, visiting(at(target)) as visit:
        bus.inlet.facts("router-tasks", subjects.TASK, act)
        await bus.inlet.start("test")
        await import_archive(visit, tmp_path / "all")
        await say(bus, (ACME, OPEN, subjects.TASK), "own", BEGUN)
        async with asyncio.timeout(10):
            await own.wait()
        assert heard == [OPEN]
        found = (await bus.log.load(subjects.timeline(ACME, OVER))).records[0]
        assert (found.headers or {})[IMPORTED].endswith("-1")
        consumer = await bus.client.jetstream().consumer_info("EVENTS", "router-tasks")
        assert consumer.num_pending == 0


def flipped(packed: bytes) -> bytes:
    """With another byte in its last quarter, behind the heading."""
    place = len(packed) * 3 // 4
    return packed[:place] + bytes([packed[place] ^ 0x55]) + packed[place + 1 :]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body[:-30], "ARCHIVE_DAMAGED"),
        (lambda body: body.replace(b"Fix it.", b"Fix It.", 1), "ARCHIVE_DAMAGED"),
        (lambda body: b"\n".join(body.split(b"\n")[:2] + body.split(b"\n")[3:]), "ARCHIVE_DAMAGED"),
        (lambda body: b"\n".join(body.split(b"\n")[:-2]) + b"\n", "ARCHIVE_DAMAGED"),
        (lambda body: body + body.split(b"\n")[1] + b"\n", "ARCHIVE_DAMAGED"),
        (lambda body: body.replace(b'"version":1', b'"version":9', 1), "ARCHIVE_VERSION"),
        (lambda body: b"PK\x03\x04" + body, "NO_ARCHIVE"),
        (lambda body: b"", "NO_ARCHIVE"),
        (lambda body: gzip.compress(body)[:-20], "ARCHIVE_DAMAGED"),
        (lambda body: flipped(gzip.compress(body)), "ARCHIVE_DAMAGED"),
    ],
    ids=[
        "cut",
        "changed",
        "a line lost",
        "its end lost",
        "a line added",
        "another version",
        "another file",
        "empty",
        "gzip cut",
        "gzip changed",
    ],
)
async def test_a_damaged_archive_is_refused(source: NatsServer, tmp_path: Path, change: object, code: str) -> None:
    await out(source, tmp_path / "all")
    (tmp_path / "damaged").write_bytes(change((tmp_path / "all").read_bytes()))  # type: ignore[operator]
    with pytest.raises(DomainError) as refused:
        list(opened(tmp_path / "damaged"))
    assert (type(refused.value), refused.value.code) == (Invalid, code)
