"""What every sandbox provider does for an agent that behaves."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import LONG, SMALL, Box, alive, asleep, gone, python, shell
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.ports import Exit, Line, SandboxSpec


async def test_lines_are_numbered_from_one_and_the_exit_comes_last(box: Box) -> None:
    heard = await box.run(shell("echo one; echo two; exit 3"))
    assert heard.lines == [Line(1, b"one"), Line(2, b"two")]
    assert heard.exit == Exit(3)


async def test_stderr_is_flagged_and_a_last_line_needs_no_newline(box: Box) -> None:
    heard = await box.run(shell("echo bad >&2; printf last"))
    assert {(line.data, line.stderr) for line in heard.lines} == {(b"bad", True), (b"last", False)}


async def test_any_bytes_come_through_unchanged(box: Box) -> None:
    heard = await box.run(shell(r"printf '\xff\xfe\x00\x1b[31mred\x1b[0m\ndata: x\n\n\r\n'"))
    assert heard.out == [b"\xff\xfe\x00\x1b[31mred\x1b[0m", b"data: x", b"", b"\r"]


async def test_stdin_is_written_and_then_closed(box: Box) -> None:
    given = os.urandom(300_000)
    launch = replace(python("import sys; d=sys.stdin.buffer.read(); print(len(d), sum(d))"), stdin=given)
    assert (await box.run(launch)).out == [f"{len(given)} {sum(given)}".encode()]


async def test_the_same_key_started_twice_is_one_program(box: Box) -> None:
    await box.ensure()
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(box.provider.start(box.id, shell("echo run >> runs; sleep 0.2; cat runs")))
    first = await box.hear()
    await box.provider.start(box.id, shell("echo another"))
    assert first.out == [b"run"]
    assert (await box.hear()).lines == first.lines


async def test_several_readers_hear_the_same(box: Box) -> None:
    await box.start(shell("for i in $(seq 50); do echo $i; sleep 0.005; done"))
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(box.hear()) for _ in range(3)]
    assert readers[0].result().out == [str(i).encode() for i in range(1, 51)]
    assert readers[0].result() == readers[1].result() == readers[2].result()


async def test_output_is_heard_within_ten_milliseconds(near: Box) -> None:
    await near.start(
        python("import time\nfor i in range(40): print(time.clock_gettime(time.CLOCK_BOOTTIME), flush=True); time.sleep(0.03)")
    )
    late = []
    async for one in near.provider.output(near.id, "k"):
        late += [time.clock_gettime(time.CLOCK_BOOTTIME) - float(one.data)] if isinstance(one, Line) else []
    assert sorted(late)[len(late) // 2] < 0.02 and len(late) == 40


async def test_a_program_that_is_not_there_says_so(box: Box) -> None:
    heard = await box.run(replace(shell(""), argv=("/no/such/program",)))
    assert heard.exit.code == 127 and "/no/such/program" in heard.text


async def test_the_workspace_goes_in_and_comes_back(box: Box, tmp_path: Path) -> None:
    await box.ensure()
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "a").write_text("before")
    await box.provider.give(box.id, tree)
    await box.provider.give(box.id, tree)
    heard = await box.run(shell("cat sub/a; echo after > sub/a; mkdir shut; echo x > shut/y; chmod 000 shut; ln -s /etc/passwd link"))
    back = await box.provider.take(box.id)
    assert heard.out == [b"before"] and not tree.exists()
    assert (back / "sub" / "a").read_text() == "after\n" and (back / "shut" / "y").read_text() == "x\n"
    assert os.readlink(back / "link") == "/etc/passwd" and os.stat("/etc/passwd").st_uid == 0


async def test_a_workspace_that_is_not_there_is_refused(box: Box, tmp_path: Path) -> None:
    await box.ensure()
    with pytest.raises(NotFound):
        await box.provider.give(box.id, tmp_path / "nothing")


async def test_files_tools_and_home_are_where_the_agent_expects_them(box: Box, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o755)
    launch = replace(
        shell('cat "$FILE"; "$TOOL"; cat "$HOME/.conf/x"'),
        env={"FILE": "/run/trunkline/in/task.md", "TOOL": "/opt/agent/bin/tool"},
        files={"/run/trunkline/in/task.md": b"task\n"}, home_files={".conf/x": b"conf\n"}, tools={"/opt/agent/bin/tool": tool},
    )  # fmt: skip
    assert (await box.run(launch)).out == [b"task", b"tool", b"conf"]


@pytest.mark.parametrize("path", ["/run/trunkline/../../etc/x", "/etc/x", "/run/trunkline"])
async def test_a_file_outside_its_place_is_refused(box: Box, path: str) -> None:
    with pytest.raises(Invalid):
        await box.start(replace(shell("true"), files={path: b"x"}))


async def test_a_home_file_never_goes_through_a_link(box: Box, tmp_path: Path) -> None:
    await box.run(shell(f'ln -s {tmp_path} "$HOME/out"; ln -s {tmp_path}/file "$HOME/file"'))
    with pytest.raises(Invalid):
        await box.start(replace(shell("true", "k2"), home_files={"out/x": b"x"}))
    await box.start(replace(shell("true", "k3"), home_files={"file": b"x"}))
    assert not list(tmp_path.iterdir())


async def test_stop_ends_everything_and_is_told_in_the_exit(box: Box) -> None:
    await box.start(shell("trap '' TERM INT HUP; setsid sleep LONG & (setsid nohup sleep LONG >/dev/null 2>&1 &) ; echo up; sleep LONG"))
    assert await box.first_line() == b"up"
    await asleep(3)
    async with asyncio.timeout(15):
        await box.provider.stop(box.id)
    assert not alive(LONG)
    await box.provider.stop(box.id)
    assert (await box.hear()).exit == Exit(None, 9, "killed")


async def test_what_a_program_leaves_running_ends_with_it(box: Box) -> None:
    heard = await box.run(shell("(setsid sleep LONG &); setsid sleep LONG & sleep 0.1; echo done"))
    assert heard.out == [b"done"] and heard.exit == Exit(0)
    assert await gone(LONG)


async def test_a_program_past_its_wall_limit_is_ended(box: Box) -> None:
    heard = await box.run(shell("trap '' TERM; echo up; while :; do sleep LONG; done"), replace(SMALL, wall=0.5))
    assert heard.out == [b"up"] and heard.exit.cause == "wall" and heard.exit.signal == 9
    assert await gone(LONG)


async def test_a_program_may_end_by_itself_after_its_last_line(box: Box) -> None:
    heard = await box.run(replace(shell('echo \'{"type":"result"}\'; sleep 0.2; echo more; exit 4'), ends_with=b'"result"'))
    assert heard.out[-1] == b"more" and heard.exit == Exit(4)


async def test_what_is_left_ten_seconds_after_the_last_line_is_killed(walled: Box) -> None:
    began = time.monotonic()
    heard = await walled.run(replace(shell("echo the end; trap '' TERM; sleep LONG"), ends_with=b"end"))
    assert heard.exit == Exit(None, 9) and 9.5 < time.monotonic() - began < 40 and await gone(LONG)


async def test_nothing_may_run_when_the_tree_is_taken_or_given(box: Box, tmp_path: Path) -> None:
    await box.start(shell("sleep 60"))
    with pytest.raises(Conflict):
        await box.provider.take(box.id)
    with pytest.raises(Conflict):
        await box.provider.give(box.id, tmp_path)


async def test_sandboxes_are_listed_with_their_labels_and_reaped_when_nobody_wants_them(near: Box) -> None:
    await near.ensure(labels={"task": "wanted"})
    orphan = near.other("orphan")
    await orphan.start(shell("sleep LONG"))
    assert {one.id: dict(one.labels) for one in await near.provider.list()}[near.id] == {"task": "wanted"}
    assert await near.provider.reap(lambda sandbox: sandbox.labels["task"] == "wanted") == 1
    assert [one.id for one in await near.provider.list()] == [near.id] and not alive(LONG)


async def test_remove_leaves_nothing_however_the_tree_looks(box: Box) -> None:
    deep = "for _ in range(3000): os.mkdir('dddd'); os.chdir('dddd')"
    await box.run(python(f"import os\nos.mkdir('a'); open('a/b','w'); os.chmod('a',0)\n{deep}"))
    await box.provider.remove(box.id)
    await box.provider.remove(box.id)
    assert not [entry for entry in os.listdir(box.root) if "box-1" in entry] and await box.provider.list() == []


async def test_what_is_not_there_is_said_so(box: Box) -> None:
    with pytest.raises(NotFound):
        await box.provider.start(SandboxId("none"), shell("true"))
    await box.ensure()
    with pytest.raises(NotFound):
        await box.hear("none")
    await box.provider.stop(SandboxId("none"))
    with pytest.raises(Invalid):
        await box.provider.ensure(SandboxSpec(SandboxId("../x"), SMALL))
