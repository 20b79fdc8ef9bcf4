"""The parts of the local provider that only think: users, control groups, egress rules, the form of spool and journal."""

from __future__ import annotations

import ast
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from trunkline.contracts.errors import Exhausted, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import (
    egress,
    identity,
    journal,
    limits,
    seats,
    setting_up,
    spawning,
    spool,
    standing,
    unsafe,
)
from trunkline_sandbox.adapters.providers.local.egress import Refused, Target
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.inside import journal as inside_journal
from trunkline_sandbox.adapters.providers.local.inside import memory, runner
from trunkline_sandbox.adapters.providers.local.places import Record, Run
from trunkline_sandbox.adapters.providers.local.staging import Stage
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Exit, Launch, Limits, Line, SandboxSpec


def test_users_begin_above_peoples_and_below_the_end_of_a_small_range() -> None:
    assert identity.first_uid("0 0 4294967295\n") == 200_000
    assert identity.first_uid("0 100000 65536\n") == 65536 - identity.COUNT - 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root shows a sandbox's user what that may not enter")
def test_what_is_mounted_for_a_start_is_seen_by_what_it_starts_and_by_nobody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    boxes = tmp_path / "it's boxes"
    boxes.mkdir()
    (boxes / "file").write_text("seen")
    stage = Stage(65534, boxes)
    shown = stage.seen_as(boxes / "file")
    assert spawning.attempt(spawning.Plan(("/bin/cat", shown), (), {}, stage)) == "seen"
    assert not os.path.exists(shown) and " - tmpfs trunkline " not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_start_whose_mounts_cannot_be_made_says_so(tmp_path: Path) -> None:
    stage = Stage(65534, tmp_path, [(tmp_path / "gone", "/mnt/0")])
    record = Record(SandboxSpec(SandboxId("s1"), Limits()), 65534, "")
    with pytest.raises(Unavailable, match="could not be started: .*No such file"):
        spawning.spawn(spawning.Plan(("/bin/true",), (), {}, stage), record, tmp_path / "log")


def test_the_lowest_free_user_is_taken() -> None:
    assert identity.free_uid(10, [10, 11, None, 13]) == 12
    assert identity.free_uid(10, range(10, 10 + identity.COUNT)) is None


def unified(mount: Path, controllers: str) -> Path:
    (mount / "svc").mkdir(parents=True)
    (mount / "cgroup.controllers").write_text("cpu memory pids")
    (mount / "svc" / "cgroup.subtree_control").write_text(controllers)
    own = mount.parent / "own"
    own.write_text("0::/svc\n")
    return own


def test_a_delegated_group_of_version_two_is_used(tmp_path: Path) -> None:
    mount = tmp_path / "cg"
    groups = limits.find(mount, unified(mount, "cpu memory pids"))
    assert groups.kind == "cgroup v2" and groups.parents["unified"] == mount / "svc"


def test_limits_of_version_two_are_written(tmp_path: Path) -> None:
    made = limits.make(limits.Groups("cgroup v2", {"unified": tmp_path}), "x", Limits(cpus=0.5, memory=1 << 20, processes=10))
    (dir,) = (Path(one) for one in made)
    assert (dir / "pids.max").read_text() == "18" and (dir / "memory.max").read_text() == str(1 << 20)
    assert (dir / "cpu.max").read_text() == "50000 100000"
    assert not (dir / "cpu.max.burst").exists()  # a kernel before 5.14


def test_processor_time_that_was_not_used_may_be_used_a_moment_later(tmp_path: Path) -> None:
    for name, file in (("v2", "cpu.max.burst"), ("v1", "cpu.cfs_burst_us")):
        (tmp_path / name / "x").mkdir(parents=True)
        (tmp_path / name / "x" / file).write_text("0")
    limits.make(limits.Groups("cgroup v2", {"unified": tmp_path / "v2"}), "x", Limits(cpus=0.5))
    limits.make(limits.Groups("cgroup v1", {"cpu": tmp_path / "v1"}), "x", Limits(cpus=0.5))
    assert (tmp_path / "v2/x/cpu.max.burst").read_text() == (tmp_path / "v1/x/cpu.cfs_burst_us").read_text() == "50000"


def test_without_a_limit_on_processors_sandboxes_share_all_of_them_and_come_after_our_services(tmp_path: Path) -> None:
    for name in ("v2", "v1"):
        (tmp_path / name).mkdir()
    limits.make(limits.Groups("cgroup v2", {"unified": tmp_path / "v2"}), "x", Limits())
    limits.make(limits.Groups("cgroup v1", {"cpu": tmp_path / "v1"}), "x", Limits())
    assert (tmp_path / "v2/x/cpu.max").read_text() == "max 100000" and (tmp_path / "v1/x/cpu.cfs_quota_us").read_text() == "-1"
    assert (tmp_path / "v2/x/cpu.weight").read_text() == "25" and (tmp_path / "v1/x/cpu.shares").read_text() == "256"


def test_without_groups_the_limits_are_said_to_be_others() -> None:
    v1 = {"pids": Path("/p"), "memory": Path("/m")}
    assert limits.words(limits.NONE) == "rlimits, memory weighed, cores pinned"
    assert limits.words(limits.Groups("cgroup v1", v1)) == "cgroup v1, cores pinned"
    assert limits.words(limits.Groups("cgroup v1", v1 | {"cpu": Path("/c")})) == "cgroup v1"
    assert limits.words(limits.Groups("cgroup v2", {"unified": Path("/u")})) == "cgroup v2"


def test_sandboxes_sit_where_the_fewest_others_sit() -> None:
    taken: list[int] = []
    for id in ("a", "b", "c", "d"):
        taken += seats.choose(id, 1.0, {3, 5, 7, 9}, taken)
    assert sorted(taken) == [3, 5, 7, 9]
    assert len({seats.choose(f"s{at}", 1.0, range(8), ()) for at in range(40)}) == 8


@pytest.mark.parametrize(("cpus", "most"), [(0.5, 1), (1.0, 1), (1.5, 2), (2.0, 2), (64.0, 4), (0.0, 2)])
def test_parts_of_processors_are_rounded_up_and_no_more_is_given_than_there_is(cpus: float, most: int) -> None:
    assert len(seats.choose("x", cpus, range(4), ())) == most


def test_a_machine_of_one_processor_gives_that() -> None:
    assert seats.choose("x", 0.0, [0], ()) == (0,)


def test_memory_is_looked_at_more_often_the_nearer_its_limit_is() -> None:
    looks = [memory.pause(room, 1.0, 0.0005) for room in (4 << 30, 512 << 20, 256 << 20, 1 << 20)]
    assert looks == [0.25, 0.125, 0.0625, 0.01]
    assert memory.pause(512 << 20, 4.0, 0.0005) == 0.03125 and memory.pause(1 << 20, 1.0, 0.02) == pytest.approx(0.18)
    assert memory.pause(1 << 20, 1.0, 10.0) == 0.5


def test_without_groups_there_are_only_resource_limits(tmp_path: Path) -> None:
    assert limits.find(tmp_path, tmp_path / "none") == limits.NONE
    assert limits.make(limits.NONE, "x", Limits()) == ()


@pytest.mark.parametrize(
    ("rule", "host", "port", "ok"),
    [
        ("a.example", "a.example", 443, True), ("a.example", "A.example.", 80, True), ("a.example", "a.example", 22, False),
        ("a.example:8443", "a.example", 8443, True), ("a.example:8443", "a.example", 443, False),
        ("a.example", "evil.a.example", 443, False),
        ("a.example", "a.example.evil", 443, False), ("[::1]:80", "::1", 80, True),
    ],
)  # fmt: skip
def test_a_rule_names_one_host_and_its_ports(rule: str, host: str, port: int, ok: bool) -> None:
    assert egress.allowed((rule,), Target(host, port)) is ok


@each(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1%eth0",
     "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::"],
)  # fmt: skip
def test_addresses_of_our_own_network_are_not_public(address: str) -> None:
    assert not egress.public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert egress.public(address)


def test_a_plain_request_is_written_anew_for_the_far_side() -> None:
    head = b"GET http://a.example:81/x?y HTTP/1.1\r\nHost: evil\r\nProxy-Authorization: z\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n"
    target = egress.parse(head)
    assert (target.host, target.port) == ("a.example", 81)
    assert target.head == b"GET /x?y HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\nAccept: */*\r\n\r\n"


@each(
    "line",
    [b"CONNECT a.example HTTP/1.1", b"CONNECT a\0b:443 HTTP/1.1", b"CONNECT a:99999 HTTP/1.1", b"CONNECT a/b:1 HTTP/1.1",
     b"GET /x HTTP/1.1",
     b"GET https://a/ HTTP/1.1", b"GET http://u@a/ HTTP/1.1", b"nonsense", b"CONNECT -a:1 HTTP/1.1", b"CONNECT \xff:1 HTTP/1.1",
     b"GET http:///x HTTP/1.1"],
)  # fmt: skip
def test_an_odd_request_is_refused(line: bytes) -> None:
    with pytest.raises(Refused):
        egress.parse(line + b"\r\n\r\n")


def frame(kind: bytes, data: bytes, number: int = 0, cut: int = 0) -> bytes:
    return spool.HEAD.pack(kind, len(data), number, cut) + data


def test_a_frame_that_is_half_written_is_left_for_later(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "s", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    whole = frame(b"S", b"1.5 1") + frame(b"O", b"a\0b", 1) + frame(b"E", b"", 2, 9)
    os.write(fd, whole[:-3])
    reader = spool.Reader(fd)
    assert reader.read() == [spool.Start(1.5, 1), Line(1, b"a\0b")] and reader.read() == []
    os.write(fd, whole[-3:])
    assert reader.read() == [Line(2, b"", True, 9)]


def test_an_end_is_sealed_once_and_over_no_half_frame(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "s", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.write(fd, frame(b"S", b"1.5 1") + frame(b"O", b"line", 1) + frame(b"O", b"cut off", 2)[:-2])
    spool.seal(fd, Exit(None, 9, "killed"))
    spool.seal(fd, Exit(None, None, "lost"))
    assert [one for one, _ in spool.frames(fd)] == [spool.Start(1.5, 1), Line(1, b"line"), Exit(None, 9, "killed")]
    assert spool.began(fd) == spool.Start(1.5, 1)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A program that is about to be started."""
    made = Run(tmp_path)
    made.spool.touch()
    journal.make(made, True)
    return made


def told(run: Run) -> bytes:
    """All that the runner reads of it, in small pieces."""
    with Handed() as handed:
        end = inside_journal.Journal(handed.open(run.journal, os.O_RDWR))
        return b"".join(iter(end.pull, b"")) + (b"<end>" if end.over() else b"")


def tell(run: Run, *entries: Entry) -> None:
    with Handed() as handed:
        for entry in entries:
            journal.tell(handed.open(run.journal, os.O_RDWR), run, entry)


@given(st.lists(st.builds(Entry, st.text("abc", min_size=1, max_size=3), st.binary(max_size=300)), max_size=12))
def test_the_runner_reads_the_first_entry_of_each_id_in_order(entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Run(Path(folder))
        made.spool.touch()
        journal.make(made, True)
        tell(made, *entries, Entry("the end", b"!", close=True))
        first = {entry.id: entry.data for entry in reversed(entries)}
        order = dict.fromkeys(entry.id for entry in entries)
        assert told(made) == b"".join(first[id] for id in order) + b"!<end>"


def test_what_a_dead_teller_left_half_written_is_never_read(run: Run) -> None:
    tell(run, Entry("a", b"one"))
    whole = run.journal.stat().st_size
    with open(run.journal, "ab") as file:
        file.write(journal.FRAME.pack(b"D", 1, 5) + b"bha")
    assert told(run) == b"one"
    tell(run, Entry("c", b"2"))
    assert told(run) == b"one2" and run.journal.stat().st_size > whole


def test_a_journal_that_is_there_is_not_made_anew(run: Run) -> None:
    tell(run, Entry("a", b"one"))
    journal.make(run, False)
    assert told(run) == b"one"


def test_a_journal_has_room_for_so_much(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "ROOM", 100)
    with pytest.raises(Exhausted):
        tell(run, Entry("a", b"x" * 100))
    tell(run, Entry("b", b"fits"))
    assert told(run) == b"fits"


def test_the_runners_parts_are_one_program_without_two_meanings_of_a_name() -> None:
    here = Path(setting_up.__file__).parent / "inside"
    names: list[str] = []
    for part in setting_up._RUNNER:
        tree = ast.parse((here / part).read_text())
        names += [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
        names += [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
    assert sorted(names) == sorted(set(names)) and len(names) > 40


def test_both_ends_of_the_journal_mean_the_same_places() -> None:
    assert (journal.HEAD.size, journal.FRAME.size) == (inside_journal.ENTRIES, inside_journal.ENTRY_HEAD)
    assert inside_journal.CLOSES == journal.CLOSE and inside_journal.WISH == standing.WISH
    assert unsafe.MARK.encode() == runner.MARK


def test_time_that_a_program_stood_still_is_counted_up_to_now() -> None:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert standing.Standing(False, 0, 1500).seconds() == 1.5
    assert standing.Standing(True, int((now - 2) * 1000), 1500).seconds() == pytest.approx(3.5, abs=0.2)


def test_without_walls_ports_are_those_of_this_machine_wherever_they_are_named() -> None:
    text = "http://127.0.0.1:8091/v1 localhost:8091 127.0.0.1:80910 0127.0.0.1:8091x"
    launch = Launch("k", ("a", text), {"B": text}, files={"/run/trunkline/c": text.encode()}, home_files={"d": b"\xff " + text.encode()})
    there = unsafe.translated(launch, {}, {8091: 40000})
    said = "http://127.0.0.1:40000/v1 localhost:40000 127.0.0.1:80910 0127.0.0.1:8091x"
    assert there.argv == ("a", said) and there.env == {"B": said}
    assert there.files["/run/trunkline/c"] == said.encode() and there.home_files["d"] == b"\xff " + said.encode()
