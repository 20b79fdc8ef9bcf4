"""Programs that are spoken to while they run: each entry is read once, whoever tells it and however often."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import psutil
import pytest

from tests.conformance.sandbox.agents import Box, python, shell
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Launch


def listening(launch: Launch) -> Launch:
    return replace(launch, keep_stdin=True)


async def test_entries_are_read_in_order_behind_the_first_stdin(box: Box) -> None:
    await box.start(replace(listening(shell("while read x; do echo got $x; [ $x = end ] && exit; done")), stdin=b"first\n"))
    await box.provider.tell(box.id, "k", Entry("a", b"second\n"))
    await box.provider.tell(box.id, "k", Entry("b", b"end\n"))
    assert (await box.hear()).out == [b"got first", b"got second", b"got end"]
    with pytest.raises(Conflict) as refusal:
        await box.provider.tell(box.id, "k", Entry("c", b"too late\n"))
    assert refusal.value.code == "PROGRAM_ENDED"


async def test_an_entry_told_twice_is_read_once(box: Box) -> None:
    await box.start(listening(shell("cat")))
    for entry in (Entry("a", b"one\n"), Entry("a", b"one\n"), Entry("b", b"two\n"), Entry("a", b"other\n"), Entry("end", close=True)):
        await box.provider.tell(box.id, "k", entry)
    assert (await box.hear()).out == [b"one", b"two"]
    assert await box.provider.told(box.id, "k") == {"a", "b", "end"}
    await box.provider.tell(box.id, "k", Entry("b", b"two\n"))


async def test_many_tellers_at_once_tell_each_entry_once(box: Box) -> None:
    await box.start(listening(shell("cat")))
    words = [chr(33 + at).encode() * 300_000 for at in range(12)]
    async with asyncio.TaskGroup() as group:
        for word in (*words, *words[::3]):
            group.create_task(box.provider.tell(box.id, "k", Entry(f"entry {word[:1].decode()}", word + b"\n")))
    await box.provider.tell(box.id, "k", Entry("end", close=True))
    assert sorted((await box.hear()).out) == words


async def test_what_is_told_behind_the_close_is_refused(box: Box) -> None:
    await box.start(listening(shell("cat; sleep 1")))
    await box.provider.tell(box.id, "k", Entry("last", b"last\n", close=True))
    with pytest.raises(Conflict) as refusal:
        await box.provider.tell(box.id, "k", Entry("more", b"more\n"))
    assert refusal.value.code == "STDIN_CLOSED" and (await box.hear()).out == [b"last"]


async def test_a_program_whose_stdin_was_closed_at_its_start_is_told_nothing(box: Box) -> None:
    await box.start(shell("sleep 1"))
    with pytest.raises(Conflict) as refusal:
        await box.provider.tell(box.id, "k", Entry("a", b"x"))
    assert refusal.value.code == "STDIN_CLOSED" and await box.provider.told(box.id, "k") == frozenset()


async def test_what_was_never_started_is_told_nothing(box: Box) -> None:
    await box.ensure()
    with pytest.raises(NotFound):
        await box.provider.tell(box.id, "k", Entry("a", b"x"))
    with pytest.raises(NotFound):
        await box.provider.told(box.id, "k")


async def test_five_mebibytes_go_in_and_come_out_as_one_line(box: Box) -> None:
    await box.start(listening(shell("sleep 0.3; cat")))
    await box.provider.tell(box.id, "k", Entry("large", b"a" * (5 << 20) + b"\n"))
    await box.provider.tell(box.id, "k", Entry("end", b"small\n", close=True))
    assert [(len(line.data), line.cut) for line in (await box.hear()).lines] == [(5 << 20, 0), (5, 0)]


async def test_the_program_finds_what_was_told_before_it_began_to_read(box: Box) -> None:
    await box.start(listening(shell("sleep 0.5; cat")))
    await box.provider.tell(box.id, "k", Entry("early", b"early\n", close=True))
    assert (await box.hear()).out == [b"early"]


async def test_a_program_that_closed_its_stdin_goes_on(box: Box) -> None:
    await box.start(listening(shell("exec <&-; echo closed; sleep 1.5; echo done")))
    assert await box.first_line() == b"closed"
    await box.provider.tell(box.id, "k", Entry("a", b"x" * (1 << 20)))
    await box.provider.tell(box.id, "k", Entry("b", b"x"))
    heard = await box.hear()
    assert heard.out == [b"closed", b"done"] and heard.exit.code == 0


async def test_an_entry_needs_an_id(box: Box) -> None:
    await box.start(listening(shell("cat")))
    for id in ("", "x" * 300):
        with pytest.raises(Invalid):
            await box.provider.tell(box.id, "k", Entry(id, b"x"))


async def test_what_was_told_is_in_no_argument_and_no_variable(box: Box) -> None:
    await box.start(listening(shell("tr '\\0' '\\n' < /proc/self/environ; tr '\\0' ' ' < /proc/$$/cmdline; cat")))
    await box.provider.tell(box.id, "k", Entry("secret-id", b"secret-word\n"))
    told = [one for one in psutil.process_iter(["cmdline"]) if any("secret-" in word for word in one.info["cmdline"] or [])]
    await box.provider.tell(box.id, "k", Entry("end", close=True))
    heard = await box.hear()
    assert heard.out[-1].endswith(b"secret-word") and heard.text.count("secret-") == 1 and not told


async def test_a_word_is_read_within_milliseconds(near: Box) -> None:
    code = """
    import sys, time
    for line in sys.stdin.buffer:
        print(time.clock_gettime(time.CLOCK_BOOTTIME), flush=True)
    """
    await near.start(listening(python(code)))
    began = []
    for at in range(100):
        began.append(time.clock_gettime(time.CLOCK_BOOTTIME))
        await near.provider.tell(near.id, "k", Entry(f"e{at}", b"word\n"))
        await asyncio.sleep(0.005)
    await near.provider.tell(near.id, "k", Entry("end", close=True))
    late = sorted(float(read) - told for read, told in zip((await near.hear()).out, began, strict=True))
    print(f"tell to read: p50 {late[50] * 1000:.2f} ms, p95 {late[95] * 1000:.2f} ms")
    assert late[20] < 0.02  # a machine that does much else keeps some of them waiting
