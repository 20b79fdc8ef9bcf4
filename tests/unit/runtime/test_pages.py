"""Large pages: what the process has written lies on them, and stays what it was."""

from __future__ import annotations

import asyncio
import sys

import pytest

CHILD = """
from pathlib import Path
from trunkline.runtime.pages import enlarge
kept = [str(number) for number in range(500_000)]
laid = enlarge()
assert kept == [str(number) for number in range(500_000)]
rows = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
print(laid, int(rows["AnonHugePages"].split()[0]) // 2048)
"""


async def test_what_a_process_has_written_is_laid_on_large_pages_and_stays_what_it_was() -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        said, _ = await child.communicate()
    assert child.returncode == 0
    laid, lie = map(int, said.split())
    if not laid:
        pytest.skip("NOT TESTED: this system gives no large pages, or has none left")
    assert lie > 0
