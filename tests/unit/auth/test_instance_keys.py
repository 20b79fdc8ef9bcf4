"""Keys of instances: the same for the same, good for one door, for a while, and lying nowhere."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.each import each
from trunkline.auth.instance_keys import InstanceKeys, mark_of_key, revocation
from trunkline.auth.policy import Action, may
from trunkline.contracts.errors import Unauthenticated, Unsupported
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.telemetry.redaction import Redactor

TASK, TENANT, ID = TaskId("0199f2f0c0de7abc8def0123456789ab"), TenantId("acme_2"), "0123456789abcdef"
ENDS = datetime(2026, 11, 29, 12, 0, 0, 500_000, tzinfo=UTC)
KEYS = InstanceKeys(b"k" * 32, lambda: ENDS.timestamp() - 60)


def test_a_key_says_whose_it_is_and_is_made_again_from_what_is_stored() -> None:
    minted = KEYS.minted(TENANT, TASK, ID, ENDS)
    text = KEYS.text(TENANT, TASK, minted.key_id, minted.expires_at)
    key = KEYS.read(text)
    assert (key.tenant, key.task, key.key_id, key.mark) == (TENANT, TASK, ID, minted.sha256) and mark_of_key(text) == minted.sha256
    assert key.token == revocation(TENANT, TASK, minted)
    assert text not in minted.model_dump_json()


def test_it_may_call_home_and_do_nothing_else() -> None:
    who = KEYS.read(KEYS.text(TENANT, TASK, ID, ENDS)).principal
    allowed = {action for action in Action if may(who, action)}
    assert allowed == {Action.LOOK_AROUND, Action.CALL_HOME, Action.READ_INSTANCE, Action.TALK_TO_INSTANCE}


@each("place", range(9, 140))
def test_a_key_that_was_changed_anywhere_is_none(place: int) -> None:
    text = KEYS.text(TENANT, TASK, ID, ENDS)
    if place >= len(text):
        return
    other = "0" if text[place] != "0" else "1"
    with pytest.raises(Unauthenticated):
        KEYS.read(text[:place] + other + text[place + 1 :])


def test_another_installation_takes_none_and_its_time_ends() -> None:
    text = KEYS.text(TENANT, TASK, ID, ENDS)
    with pytest.raises(Unauthenticated, match="no key"):
        InstanceKeys(b"o" * 32, lambda: 0.0).read(text)
    with pytest.raises(Unauthenticated, match="expired"):
        InstanceKeys(b"k" * 32, lambda: ENDS.timestamp() + 1).read(text)
    with pytest.raises(Unsupported):
        InstanceKeys(b"", lambda: 0.0).text(TENANT, TASK, ID, ENDS)


def test_it_is_struck_out_wherever_it_is_said() -> None:
    text = KEYS.text(TENANT, TASK, ID, ENDS)
    assert text not in Redactor().text(f"my key is {text}, keep it")
