"""What the argv of bubblewrap says, without running it."""

from __future__ import annotations

import struct

import pytest

from trunkline_sandbox.adapters.providers.local import profile, seccomp
from trunkline_sandbox.adapters.providers.local.profile import Bind, Profile


def words(**more: object) -> list[str]:
    binds = (Bind("/data/ws", "/workspace", writable=True), Bind("/data/task", "/run/trunkline"))
    return profile.argv(Profile("/usr/bin/bwrap", binds, {"/bin": "usr/bin"}, **more), ("/usr/bin/python3", "x"))  # type: ignore[arg-type]


def follows(argv: list[str], *sequence: str) -> bool:
    return any(tuple(argv[at : at + len(sequence)]) == sequence for at in range(len(argv)))


@pytest.mark.parametrize("wall", ["user", "pid", "net", "ipc", "uts"])
def test_every_namespace_is_its_own(wall: str) -> None:
    assert f"--unshare-{wall}" in words()


def test_nothing_is_left_to_gain_inside() -> None:
    assert {"--disable-userns", "--new-session", "--clearenv"} <= set(words())
    assert follows(words(), "--cap-drop", "ALL") and follows(words(), "--uid", "1000")


def test_the_kernels_knobs_are_read_only_and_so_is_the_root_after_all_mounts() -> None:
    argv = words()
    assert follows(argv, "--ro-bind-try", "/proc/sys", "/proc/sys")
    assert argv.index("/proc/sys") > argv.index("/proc")
    last = max(at for at, word in enumerate(argv) if word in ("--bind", "--ro-bind", "--tmpfs", "--ro-bind-data", "--symlink"))
    assert follows(argv[last:], "--remount-ro", "/")


def test_only_what_is_named_writable_is_writable() -> None:
    argv = words()
    assert follows(argv, "--bind", "/data/ws", "/workspace") and follows(argv, "--ro-bind", "/data/task", "/run/trunkline")
    assert argv.count("--bind") == 1


def test_a_sandbox_does_not_die_with_the_service() -> None:
    assert "--die-with-parent" not in words()


def test_the_command_comes_after_the_options() -> None:
    assert words()[-3:] == ["--", "/usr/bin/python3", "x"]


def test_open_files_are_named_by_their_numbers() -> None:
    argv = words(data={"/etc/passwd": 7}, info_fd=8, seccomp_fd=9)
    assert follows(argv, "--ro-bind-data", "7", "/etc/passwd") and follows(argv, "--info-fd", "8") and follows(argv, "--seccomp", "9")


def test_the_environment_is_the_sandboxes_own() -> None:
    env = profile.environment({"A": "b", "HOME": "/home/agent/x"}, proxied=False)
    assert env["A"] == "b" and env["HOME"] == "/home/agent/x" and "http_proxy" not in env
    assert profile.environment({}, proxied=True)["https_proxy"] == "http://127.0.0.1:3128"


def run(code: bytes, number: int, architecture: int, argument: int = 0) -> int:
    """What the filter answers to a system call, by a small machine for the four instructions that it uses."""
    at, value = 0, 0
    while True:
        operation, yes, no, operand = struct.unpack_from("<HBBI", code, 8 * at)
        if operation == 0x06:
            return int(operand)
        if operation == 0x20:
            value, at = {0: number, 4: architecture, 16: argument & 0xFFFFFFFF}[operand], at + 1
            continue
        at += 1 + (yes if (value == operand if operation == 0x15 else value >= operand) else no)


ALLOW, EPERM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050061


@pytest.mark.parametrize(("machine", "architecture", "keyctl", "read"), [("x86_64", 0xC000003E, 250, 0), ("aarch64", 0xC00000B7, 219, 63)])
def test_the_filter_denies_what_it_lists_and_allows_the_rest(machine: str, architecture: int, keyctl: int, read: int) -> None:
    code = seccomp.program(machine)
    assert code is not None
    assert [run(code, number, architecture) for number in (keyctl, 425, 442)] == [EPERM] * 3
    assert [run(code, number, architecture) for number in (read, 434, 435)] == [ALLOW] * 3
    assert run(code, read, 0x40000003) == ENOSYS and run(code, 0x40000000 + read, architecture) == EPERM


@pytest.mark.parametrize(("machine", "architecture", "calls"), [("x86_64", 0xC000003E, (41, 53)), ("aarch64", 0xC00000B7, (198, 199))])
def test_only_sockets_of_four_families_are_made(machine: str, architecture: int, calls: tuple[int, int]) -> None:
    code = seccomp.program(machine)
    assert code is not None
    for call in calls:
        made = [family for family in range(64) if run(code, call, architecture, family) == ALLOW]
        assert made == [1, 2, 10, 16]
        assert run(code, call, architecture, 40) == run(code, call, architecture, 40 | 1 << 32) == EAFNOSUPPORT


@pytest.mark.parametrize(("machine", "architecture", "affinity"), [("x86_64", 0xC000003E, 203), ("aarch64", 0xC00000B7, 122)])
def test_who_is_kept_to_processors_cannot_choose_others(machine: str, architecture: int, affinity: int) -> None:
    free, pinned = seccomp.program(machine), seccomp.program(machine, pinned=True)
    assert free is not None and pinned is not None
    assert (run(free, affinity, architecture), run(pinned, affinity, architecture)) == (ALLOW, EPERM)
    assert run(pinned, affinity + 1, architecture) == ALLOW


def test_a_machine_that_we_know_no_numbers_of_gets_no_filter() -> None:
    assert seccomp.program("riscv64") is None
