"""Agents that mean harm, or do it: each has one clear end and reaches nothing that is not its own."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import LONG, SMALL, Box, gone, python, shell


async def test_much_output_is_counted_and_dropped(near: Box) -> None:
    size, limit = 256 << 20, replace(SMALL, output=1 << 20, cpus=2.0)
    began = time.monotonic()
    heard = await near.run(python(f"import os\nb=(b'x'*999+b'\\n')*1024\nfor _ in range({size}//len(b)): os.write(1,b)"), limit)
    took = time.monotonic() - began
    kept = sum(len(line) for line in heard.out)
    assert kept <= 1 << 20 and heard.exit.code == 0
    assert heard.exit.dropped + kept == pytest.approx(size, rel=0.02)
    assert took < 30.0, f"{size / took / 1e6:.0f} MB/s"


async def test_one_long_line_is_cut_and_counted(near: Box) -> None:
    heard = await near.run(python("import os\nprint('a'*(5<<20)); print('b')"), replace(SMALL, line=1 << 20))
    assert [(len(line.data), line.cut) for line in heard.lines] == [(1 << 20, 4 << 20), (1, 0)]


async def test_a_line_of_five_mebibytes_comes_whole_when_it_may(box: Box) -> None:
    heard = await box.run(python("print('a'*(5<<20))"))
    assert [(len(line.data), line.cut) for line in heard.lines] == [(5 << 20, 0)]


async def test_the_line_that_ends_the_work_is_kept_beyond_the_limit(box: Box) -> None:
    code = "print('x\\n'*400000 + '{\"type\":\"result\"}\\n' + 'y\\n'*400000)"
    heard = await box.run(replace(python(code), ends_with=b'"result"'), replace(SMALL, output=1000))
    assert heard.out[-1] == b'{"type":"result"}' and len(heard.out) <= 1001 and heard.exit.code == 0


async def test_output_that_never_ends_a_line_needs_no_memory(box: Box) -> None:
    heard = await box.run(python("import os\nfor _ in range(64): os.write(1, b'z'*(1<<20))"), replace(SMALL, line=1 << 16))
    assert [(len(line.data), line.cut) for line in heard.lines] == [(1 << 16, (64 << 20) - (1 << 16))]


async def test_empty_lines_are_not_free(box: Box) -> None:
    heard = await box.run(python("import os\nfor _ in range(16): os.write(1, b'\\n'*(1<<16))"), replace(SMALL, output=24 * 1000))
    assert heard.out == [b""] * 1000 and heard.exit.dropped > 0


async def test_a_full_share_of_the_disk_ends_the_program(box: Box) -> None:
    heard = await box.run(shell("head -c 30M /dev/zero > big; sleep 60"), replace(SMALL, disk=8 << 20))
    assert heard.exit.cause == "disk"


async def test_a_file_larger_than_allowed_cannot_be_written(box: Box) -> None:
    heard = await box.run(shell("head -c 8M /dev/zero > big; stat -c %s big"), replace(SMALL, file_size=4 << 20))
    assert heard.out == [str(4 << 20).encode()]


async def test_a_program_that_closes_its_output_is_still_waited_for(box: Box) -> None:
    heard = await box.run(shell("exec >&- 2>&-; sleep 0.3; exit 5"))
    assert heard.exit.code == 5


async def test_a_fork_bomb_hits_its_limit_and_is_stopped(walled: Box) -> None:
    await walled.start(shell("echo up; bomb() { bomb | bomb & }; bomb; sleep 60"))
    assert await walled.first_line() == b"up"
    await asyncio.sleep(0.5)
    async with asyncio.timeout(15):
        await walled.provider.stop(walled.id)
    assert (await walled.hear()).exit.cause == "killed"


async def test_a_memory_hog_is_ended_and_the_cause_is_known(walled: Box) -> None:
    heard = await walled.run(python("x=[]\nwhile True: x.append(bytearray(16<<20))"), replace(SMALL, memory=128 << 20))
    assert heard.exit.cause == "memory" and heard.exit.signal == 9


async def test_the_host_is_not_there(walled: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_TEST_SECRET", "s3cret")
    heard = await walled.run(
        shell(f"""
        id -u; env | grep -c SECRET; ls /root /var /sys {walled.root} 2>&1 | grep -c 'No such file'; cat /etc/shadow 2>/dev/null
        ls /proc | grep -c '^[0-9]'; touch /usr/x /etc/x /dev/x /x /run/x /run/trunkline/x 2>&1 | grep -c 'Read-only'
        grep NoNewPrivs /proc/self/status | tr -d '\\t'; cat /proc/net/dev | grep -c :; unshare -Ur true 2>/dev/null; echo userns $?
        """)
    )
    assert heard.out[:3] == [b"1000", b"0", b"4"]
    assert int(heard.out[3]) <= 7
    assert heard.out[4:7] == [b"6", b"NoNewPrivs:1", b"1"] and heard.out[7] != b"userns 0"


async def test_programs_are_told_that_there_is_nobody_to_ask_for_names(walled: Box) -> None:
    heard = await walled.run(shell("stat -c %F /etc/resolv.conf; grep -c nameserver /etc/resolv.conf; grep options /etc/resolv.conf"))
    assert heard.out == [b"regular file", b"0", b"options timeout:1 attempts:1"]


async def test_the_kernel_is_out_of_reach(walled: Box) -> None:
    heard = await walled.run(
        python("""
        import ctypes, os
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/mem", "/proc/1/environ"):
            try:
                os.close(os.open(path, os.O_RDWR if path != "/proc/1/environ" else os.O_RDONLY)); print("OPEN", path)
            except OSError as e: print("closed")
        libc = ctypes.CDLL(None, use_errno=True)
        for number in (250, 425, 321):
            libc.syscall(number, 0, -3, 0, 0, 0); print(ctypes.get_errno())
        """)
    )
    expected = [b"closed"] * 4 + ([b"1"] * 3 if os.uname().machine == "x86_64" else heard.out[4:])
    assert heard.out == expected


async def test_no_socket_reaches_past_the_empty_network(walled: Box) -> None:
    heard = await walled.run(
        python("""
        import ctypes, os, socket
        def ask(make, *words):
            try: made = make(*words)
            except OSError as error: return os.strerror(error.errno)
            if not isinstance(made, socket.socket): [one.close() for one in made]; return "MADE"
            if words[0] != 40: made.close(); return "MADE"
            made.settimeout(2)
            try: made.connect((2, 1024)); return "REACHED"
            except OSError as error: return f"MADE, {error}"
        STREAM, DATAGRAM, RAW, PACKET = 1, 2, 3, 5
        wanted = (40, STREAM), (40, DATAGRAM), (38, PACKET), (17, DATAGRAM), (15, RAW), (30, PACKET), (21, PACKET)
        print({ask(socket.socket, *words) for words in wanted})
        print({ask(socket.socketpair, family, STREAM) for family in (30, 40)})
        print([ask(socket.socket, family, STREAM) for family in (1, 2)], ask(socket.socket, 16, RAW), ask(socket.socketpair, 1, STREAM))
        """)
    )
    none = "Address family not supported by protocol"
    if os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("there is no filter for this machine")
    assert heard.out == [f"{{'{none}'}}".encode()] * 2 + [b"['MADE', 'MADE'] MADE MADE"], heard.text


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other machines have no second table of system calls")
async def test_no_other_table_of_system_calls_makes_sockets(walled: Box) -> None:
    heard = await walled.run(
        python("""
        import ctypes, mmap, os
        libc = ctypes.CDLL(None, use_errno=True)
        for number, family in ((41, 40), (41, 40 | 1 << 40), (0x40000000 + 41, 40), (0x40000000 + 53, 1)):
            print(libc.syscall(ctypes.c_long(number), ctypes.c_long(family), 1, 0), ctypes.get_errno())
        # 32-bit socket(40, 1, 0): push rbx; mov eax, 359; mov ebx, 40; mov ecx, 1; xor edx, edx; int 0x80; pop rbx; ret
        page = mmap.mmap(-1, 4096, prot=7)
        page.write(bytes.fromhex("53 b867010000 bb28000000 b901000000 31d2 cd80 5b c3"))
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        if os.fork() == 0: os._exit(9 if call() >= 0 else 0)
        print("MADE" if os.waitstatus_to_exitcode(os.wait()[1]) == 9 else "no")
        """)
    )
    assert heard.out == [b"-1 97", b"-1 97", b"-1 1", b"-1 1", b"no"], heard.text


async def test_ordinary_programs_have_the_sockets_that_they_need(walled: Box) -> None:
    heard = await walled.run(
        shell(
            """
        git init -q . && git status --porcelain && getent hosts localhost && getent passwd agent && python3 -c '
        import asyncio, socket
        async def main():
            server = await asyncio.start_server(lambda reader, writer: (writer.write(b"hello"), writer.close()), "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            print(await reader.read())
            writer.close()
        asyncio.run(main()); print(socket.getaddrinfo("localhost", 80) != [])'
        """.replace("\n        ", "\n")
        )
    )
    assert heard.exit.code == 0, heard.text
    assert b"agent" in heard.out[-3] and heard.out[-2:] == [b"b'hello'", b"True"]


async def test_the_runner_can_neither_be_killed_nor_read_by_the_agent(walled: Box) -> None:
    heard = await walled.run(shell("kill -9 1; kill -STOP 1; kill -TERM 1; ls /proc/1/fd 2>&1 | grep -c denied; echo still here"))
    assert heard.out == [b"1", b"still here"] and heard.exit.code == 0


async def test_no_network_is_the_default(walled: Box) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    code = f"""
import socket
for address in (("127.0.0.1", {port}), ("1.1.1.1", 53)):
    try: socket.create_connection(address, 2); print("REACHED")
    except OSError: print("no")
"""
    heard = await walled.run(python(code))
    server.close()
    assert heard.out == [b"no", b"no"]


async def test_two_sandboxes_see_nothing_of_each_other(walled: Box) -> None:
    other = walled.other("box-2")
    await other.run(shell("echo secret > mine; echo secret > ~/mine; sleep 0"))
    await other.start(shell("sleep 60", "k2"))
    heard = await walled.run(shell("ls -A . ~ /tmp; find /home /workspace /tmp /run /dev -name mine 2>/dev/null"))
    assert b"secret" not in heard.text.encode() and "mine" not in heard.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give each sandbox a user of its own")
async def test_bubblewrap_never_runs_as_root_and_each_sandbox_is_its_own_user(walled: Box) -> None:
    other = walled.other("box-2")
    for one in (walled, other):
        await one.start(shell("echo up; sleep 60"))
    uids = {os.stat(one.dir / "box" / "workspace").st_uid for one in (walled, other)}
    running = {os.stat(f"/proc/{pid}").st_uid for one in (walled, other) for pid in _pids(one)}
    assert len(uids) == 2 and 0 not in uids | running


async def test_it_works_below_a_directory_that_others_may_not_enter(tmp_path: Path) -> None:
    from trunkline_sandbox.adapters.providers.local import LocalProvider

    tmp_path.chmod(0o700)
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o755)
    box = Box(LocalProvider(tmp_path / "a b" / "boxes"), tmp_path / "a b" / "boxes")
    heard = await box.run(replace(shell("echo x > y; /opt/agent/tool"), tools={"/opt/agent/tool": tool}))
    await box.provider.remove(box.id)
    assert heard.out == [b"tool"]


async def test_the_service_stays_small_while_an_agent_prints_much(walled: Box) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await walled.run(python("import os\nb=b'x'*(1<<20)\nfor _ in range(128): os.write(1,b+b'\\n')"), replace(SMALL, output=1 << 20))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10, f"{grown} KiB"


async def test_an_agent_cannot_outlive_its_end_by_forking_away(walled: Box) -> None:
    daemon = """
    import os, time
    if os.fork():
        time.sleep(0.2); print("bye", flush=True); os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 3)
    os.execvp("sleep", ["sleep", "LONG"])
    """
    assert (await walled.run(python(daemon))).out == [b"bye"]
    assert await gone(LONG)


def _pids(box: Box) -> list[int]:
    from trunkline_sandbox.adapters.providers.local import reaping
    from trunkline_sandbox.adapters.providers.local.places import load, place

    here = place(box.root, box.id)
    record = load(here.record)
    assert record is not None
    found = [process.pid for process in reaping.running(here, record)]
    assert found, sys.platform
    return found
