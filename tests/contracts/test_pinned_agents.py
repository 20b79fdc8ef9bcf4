"""What `make agents` brings is what the reading of its lines was tested with."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.conformance.claude_here import CLAUDE, NOT_TESTED

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "tests" / "recordings"


def test_the_pinned_codex_was_recorded_and_so_was_its_schema() -> None:
    (version,) = re.findall(r"^openai-codex-cli-bin==(\S+)", (ROOT / "requirements" / "agents.txt").read_text(), re.MULTILINE)

    assert list((RECORDINGS / "codex" / version).glob("*.jsonl")), "python -m tests.recordings.record_codex_opencode codex"
    assert (ROOT / "tests" / "contracts" / "codex" / version / "schema.json").is_file(), "python -m tools.pin_codex PROGRAM"


def test_the_pinned_opencode_was_recorded() -> None:
    version = json.loads((ROOT / "requirements" / "agents" / "package.json").read_text())["dependencies"]["opencode-linux-x64"]

    assert list((RECORDINGS / "opencode" / version).glob("*.jsonl")), "python -m tests.recordings.record_codex_opencode opencode"


@pytest.mark.skipif(CLAUDE is None, reason=NOT_TESTED)
def test_the_claude_code_of_this_machine_was_recorded() -> None:
    """Its package has a version of its own, so the program is asked."""
    told = subprocess.run([str(CLAUDE), "--version"], capture_output=True, text=True, check=True, timeout=60).stdout

    assert list((RECORDINGS / "claude" / told.split()[0]).glob("*.jsonl")), "python -m tests.recordings.claude.record"
