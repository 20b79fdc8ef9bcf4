"""Which tasks leave nothing with the sandbox service, so that nobody looks when they are over."""

from __future__ import annotations

import pytest

from trunkline.contracts.task import Assignment, Executor
from trunkline_sandbox.subscriptions import bare


@pytest.mark.parametrize("executor", Executor)
@pytest.mark.parametrize("credential", [None, "t1"])
def test_one_that_was_never_ours_and_came_without_a_token(executor: Executor, credential: str | None) -> None:
    asked = Assignment(executor=executor, credential=credential)
    assert bare(asked) is (executor is not Executor.SANDBOX and credential is None)
