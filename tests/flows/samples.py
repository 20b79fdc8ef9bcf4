"""An agent for the samples that documents print, whose tasks are any text."""

from __future__ import annotations

from typing import Final

LONG: Final = "say a lot"
"""150 lines, one after the other, and a change."""
_PROGRAM: Final = """
import sys, time
task = sys.stdin.read()
for n in range(150 if "a lot" in task else 3):
    print("step", n, "." * 100, flush=True)
    time.sleep(0.01)
if "fail" in task:
    raise SystemExit("it fails, as it was asked to")
open("tests.txt", "w").write(task)
"""
AGENT: Final = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": f"python3 -c '{_PROGRAM}'"}
