"""Cursors come back only as they went out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.auth.principal import Principal, Role
from trunkline.contracts.approval_views import ListApprovals
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import Priority
from trunkline.contracts.views import ListTasks, TaskSort
from trunkline_gateway.dialects.orchestrator.seal import Seal

ANN = Principal(TenantId("acme"), "ann", Role.USER)
AT = datetime(2025, 1, 12, tzinfo=UTC)
LIST = ListTasks(tenant="-", at=AT)
SEAL = Seal(b"k" * 32)


def opened(cursor: str | None, seal: Seal = SEAL, who: Principal = ANN, query: ListTasks | ListApprovals = LIST) -> str | None:
    return seal.opened(who, query, cursor)


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=300))
def test_what_goes_out_comes_back(place: str) -> None:
    cursor = SEAL.sealed(ANN, LIST, place)
    assert cursor and cursor.isascii() and "=" not in cursor
    assert opened(cursor) == place


def test_no_place_is_no_cursor() -> None:
    assert SEAL.sealed(ANN, LIST, None) is None
    assert opened(None) is None
    assert opened("") is None


def test_it_holds_when_only_the_moment_and_the_length_differ() -> None:
    cursor = SEAL.sealed(ANN, LIST, "newest.1.a")
    later = LIST.model_copy(update={"at": datetime(2025, 2, 1, tzinfo=UTC), "limit": 7, "after": "x"})
    assert opened(cursor, who=Principal(ANN.tenant, "bob", Role.ADMIN), query=later) == "newest.1.a"


@pytest.mark.parametrize(
    "changes", [{"sort": TaskSort.OLDEST}, {"pool": "ops"}, {"priorities": (Priority.P0,)}, {"types": ("a",)}, {"parent": "x"}]
)
def test_it_holds_for_no_other_list(changes: dict[str, object]) -> None:
    cursor = SEAL.sealed(ANN, LIST, "p")
    with pytest.raises(Invalid):
        opened(cursor, query=LIST.model_copy(update=changes))


def test_it_holds_for_no_other_tenant_key_or_kind_of_list() -> None:
    cursor = SEAL.sealed(ANN, LIST, "p")
    for seal, who, query in (
        (Seal(b"j" * 32), ANN, LIST),
        (SEAL, Principal(TenantId("other"), "ann", Role.USER), LIST),
        (SEAL, ANN, ListApprovals(tenant="-", at=AT)),
    ):
        with pytest.raises(Invalid):
            opened(cursor, seal, who, query)


@given(st.data())
def test_no_changed_letter_goes_unseen(data: st.DataObject) -> None:
    cursor = SEAL.sealed(ANN, LIST, "newest.1736676000.abc")
    assert cursor
    place = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from("ABab01-_").filter(lambda letter: letter != cursor[place]))
    with pytest.raises(Invalid):
        opened(cursor[:place] + letter + cursor[place + 1 :])


@given(st.text(max_size=80).filter(bool))
def test_no_text_of_anybody_is_a_cursor(text: str) -> None:
    with pytest.raises(Invalid):
        opened(text)
