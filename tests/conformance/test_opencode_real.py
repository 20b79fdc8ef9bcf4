"""The real opencode as a conversation, with a scripted model: every promise of the port, and every fault of a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conversations import MODEL_FAULTS, PROMISES, AgentUnderTest, a_line_of_five_mebibytes_is_heard
from tests.conformance.openai_here import NO_OPENCODE, OPENCODE, opencode_with_a_script

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.skipif(OPENCODE is None, reason=NO_OPENCODE)]

# It says its texts in small pieces. That a long line of it is heard is tested without it (tests/unit/sandbox/test_acp_lines.py).
KEPT = [promise for promise in (*PROMISES, *MODEL_FAULTS) if promise is not a_line_of_five_mebibytes_is_heard]


@pytest.fixture
def under_test(tmp_path: Path) -> AgentUnderTest:
    return opencode_with_a_script(tmp_path)


@pytest.mark.parametrize("promise", KEPT, ids=lambda promise: promise.__name__)
async def test_opencode_keeps(promise: Callable[[AgentUnderTest], Any], under_test: AgentUnderTest) -> None:
    await promise(under_test)
