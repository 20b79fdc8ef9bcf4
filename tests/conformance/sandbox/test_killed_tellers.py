"""The service dies in the middle of telling something: the next one tells it again, and the program reads whole entries, each once."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from tests.conformance.sandbox.agents import SMALL, Box, python
from trunkline_sandbox.model import Entry

SIZE = 200 << 10
_TELLERS = """
import asyncio, os, sys
from pathlib import Path
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.model import Entry

provider = LocalProvider(Path(sys.argv[1]), unsafe=sys.argv[2] == "unsafe")
pwrite = os.pwrite
left = 0

def dying(fd, data, at):
    global left
    data = memoryview(data)
    if len(data) >= left:
        pwrite(fd, data[:left] if len(data) > 8 or left == 8 else b"", at)
        os.kill(os.getpid(), 9)
    left -= len(data)
    return pwrite(fd, data, at)

os.pwrite = dying
for word in sys.argv[4:]:
    left = int(word)
    if os.fork() == 0:
        line = (word + " " + "x" * int(sys.argv[3]) + "\\n").encode()
        asyncio.run(provider.tell("box-1", "k", Entry("e" + word, line)))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == -9
"""
_READER = """
import sys
for line in sys.stdin:
    name, _, rest = line.rstrip("\\n").partition(" ")
    print(name, len(rest), set(rest) == {"x"}, flush=True)
"""


async def test_a_teller_killed_at_any_byte_leaves_no_part_of_an_entry(near: Box) -> None:
    whole = 12 + 8 + SIZE  # about: the head, the id, the line
    places = [*range(14), *range(14, whole, 10_007), *range(whole - 12, whole - 3)]
    await near.start(replace(python(_READER), keep_stdin=True), replace(SMALL, wall=60))
    kind = "walled" if near.provider.ability.egress_policy else "unsafe"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    argv = [sys.executable, "-c", _TELLERS, str(near.root), kind, str(SIZE), *(str(place) for place in places)]
    subprocess.run(argv, env=env, check=True, timeout=60)
    assert await near.provider.told(near.id, "k") == frozenset()
    for place in places:
        for _ in range(2):
            await near.provider.tell(near.id, "k", Entry(f"e{place}", f"{place} {'x' * SIZE}\n".encode()))
    await near.provider.tell(near.id, "k", Entry("end", close=True))
    assert (await near.hear()).out == [f"{place} {SIZE} True".encode() for place in places]


async def test_an_entry_whose_teller_died_before_the_bell_is_read_all_the_same(near: Box) -> None:
    await near.start(replace(python(_READER), keep_stdin=True))
    kind = "walled" if near.provider.ability.egress_policy else "unsafe"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    word = "100042"
    size = int(word) - 12 - len("e" + word) - len(word) - 2 - 8  # so that the last of it is what makes it count
    subprocess.run([sys.executable, "-c", _TELLERS, str(near.root), kind, str(size), word], env=env, check=True, timeout=60)
    assert await near.provider.told(near.id, "k") == {"e" + word}
    assert await near.first_line() == f"{word} {size} True".encode()
    await near.provider.tell(near.id, "k", Entry("e" + word, b"again\n"))
    await near.provider.tell(near.id, "k", Entry("end", close=True))
    assert len((await near.hear()).out) == 1
