"""An ordinary user, who may make no control groups, has limits on memory and processors all the same."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import campaigns
from tests.conformance.sandbox.ordinary import UID, Ordinary, command
from trunkline_sandbox.adapters.providers.local import kill_all

MIB = 1 << 20
several = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor cannot be told from all of them here")


@pytest.fixture(scope="module")
def python() -> tuple[str, ...]:
    return command()


@pytest.fixture
def user(python: tuple[str, ...]) -> Iterator[Ordinary]:
    dir = Path(tempfile.mkdtemp(prefix="tlo-", dir="/tmp"))
    if os.geteuid() == 0:
        os.chown(dir, UID, UID)
    yield Ordinary(python, dir / "boxes")
    kill_all(dir / "boxes")
    shutil.rmtree(dir)


@pytest.mark.parametrize("unsafe", campaigns.part([False, True], 2, 0))
def test_one_process_that_grows_is_ended_for_memory(user: Ordinary, unsafe: bool) -> None:
    heard = replace(user, unsafe=unsafe).run("x=[]\nwhile True: x.append(bytearray(b'x') * (4<<20))", memory=128 * MIB)
    assert (heard.code, heard.cause) == (None, "memory")


@pytest.mark.parametrize("unsafe", campaigns.part([False, True], 2, 1))
def test_processes_that_are_too_large_together_are_all_ended(user: Ordinary, unsafe: bool) -> None:
    code = "import os, time\nfor _ in range(3): os.fork()\nx = b'x' * (32<<20)\ntime.sleep(LONG)"
    heard = replace(user, unsafe=unsafe).run(code, memory=128 * MIB)
    assert heard.cause == "memory"


def test_what_forked_processes_share_is_counted_once(user: Ordinary) -> None:
    code = """
    import os, time
    x = b'x' * (96<<20)
    for _ in range(4):
        if os.fork() == 0: time.sleep(1); os._exit(0)
    for _ in range(4): os.wait()
    """
    heard = user.run(code, memory=160 * MIB)
    assert (heard.code, heard.cause) == (0, None)


def test_a_file_that_is_read_through_a_mapping_is_nobodys_memory(user: Ordinary) -> None:
    code = """
    import mmap, time
    with open('big', 'wb') as f:
        for _ in range(200): f.write(b'x' * (1<<20))
    file = open('big', 'rb')
    m = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    print(sum(m[at] for at in range(0, len(m), 4096)) > 0); time.sleep(0.6)
    """
    heard = user.run(code, memory=128 * MIB)
    assert (heard.lines, heard.cause) == (["True"], None)


def test_address_space_that_is_only_reserved_is_free(user: Ordinary) -> None:
    heard = user.run("import mmap, time\nm = mmap.mmap(-1, 64 << 30, flags=0x4022)\ntime.sleep(0.4); print(len(m) >> 30)", memory=128 * MIB)
    assert (heard.lines, heard.cause) == (["64"], None)


@pytest.mark.parametrize("trick", ["ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)", "ctypes.CDLL(None).prctl(15, b'a\\rRssAnon: x', 0, 0, 0)"])
def test_a_process_that_hides_or_calls_itself_names_is_weighed(user: Ordinary, trick: str) -> None:
    heard = user.run(f"import ctypes, time\n{trick}\nx = b'x' * (256<<20)\ntime.sleep(5)", memory=128 * MIB)
    assert heard.cause == "memory"


def test_a_shared_segment_that_nobody_holds_is_weighed(user: Ordinary) -> None:
    code = """
    import ctypes, time
    libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
    address = ctypes.c_void_p(libc.shmat(libc.shmget(0, ctypes.c_size_t(256<<20), 0o1600), None, 0))
    ctypes.memset(address, 1, 256<<20); libc.shmdt(address); time.sleep(5)
    """
    assert user.run(code, memory=300 * MIB).cause is None
    heard = Ordinary(user.command, user.root.with_name("more")).run(code, memory=128 * MIB)
    assert heard.cause == "memory"


BUSY = """
import os, time
def here():
    return open("/proc/self/stat").read().rpartition(")")[2].split()[36]
for at in range(3):
    if os.fork() == 0:
        end, seen = time.monotonic() + 1.5, set()
        while time.monotonic() < end: seen.add(here())
        open(f"seen{at}", "w").write(" ".join(seen))
        os._exit(0)
for _ in range(3): os.wait()
used = os.times()
print(used.children_user + used.children_system)
print(len({word for at in range(3) for word in open(f"seen{at}").read().split()}))
"""


@several
@pytest.mark.parametrize("unsafe", campaigns.part([False, True], 2, 2))
def test_one_cpu_is_the_work_of_one_processor_for_all_together(user: Ordinary, unsafe: bool) -> None:
    used, processors = replace(user, unsafe=unsafe).run(BUSY, cpus=1.0).lines
    assert float(used) < 1.5 * 1.2 and processors == "1"


@several
def test_a_program_sees_its_one_processor_and_cannot_take_another(user: Ordinary) -> None:
    code = """
    import os, subprocess
    print(subprocess.check_output(["nproc"], text=True).strip())
    for pid in (0, 1):
        try: os.sched_setaffinity(pid, range(os.cpu_count())); print("TAKEN")
        except PermissionError: print("no")
    print(len(os.sched_getaffinity(0)))
    """
    assert user.run(code, cpus=1.0).lines == ["1", "no", "no", "1"]


def test_the_sandbox_says_what_limits_it(user: Ordinary) -> None:
    assert user.run("pass").isolation.endswith("rlimits, memory weighed, cores pinned")


ROOT_OF_A_CONTAINER = """
mount -t tmpfs -o ro none /sys/fs/cgroup && exec setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="NOT TESTED, the root of a container: needs root and setpriv")
def test_a_root_without_the_rights_of_one_runs_agents_too() -> None:
    dir = Path(tempfile.mkdtemp(prefix="tlo-", dir="/tmp"))
    dir.chmod(0o711)
    root = Ordinary(("unshare", "--mount", "sh", "-c", ROOT_OF_A_CONTAINER, "sh", sys.executable), dir / "boxes")
    try:
        heard = root.run("import os; print(len(os.sched_getaffinity(0)), flush=True)", cpus=1)
    finally:
        kill_all(dir / "boxes")
        shutil.rmtree(dir)
    assert (heard.lines, heard.code) == (["1"], 0)
    assert "cores pinned" in heard.isolation
