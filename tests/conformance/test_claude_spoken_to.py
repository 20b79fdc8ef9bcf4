"""The real Claude Code as a conversation, with a scripted model: every promise of the port, and every fault of a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.claude_here import CLAUDE, NOT_TESTED, claude_with_a_script
from tests.conformance.conversations import MODEL_FAULTS, PROMISES, AgentUnderTest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.skipif(CLAUDE is None, reason=NOT_TESTED)]


@pytest.fixture
def under_test(tmp_path: Path) -> AgentUnderTest:
    return claude_with_a_script(tmp_path)


@pytest.mark.parametrize("promise", [*PROMISES, *MODEL_FAULTS], ids=lambda promise: promise.__name__)
async def test_claude_code_keeps(promise: Callable[[AgentUnderTest], Any], under_test: AgentUnderTest) -> None:
    await promise(under_test)
