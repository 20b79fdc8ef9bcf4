"""API keys: how a line of the settings is read, what is refused, and whose a key is."""

from __future__ import annotations

import gc
from hashlib import sha256

import pytest

from tests.each import each
from trunkline.auth import keys as ring
from trunkline.auth.claims import Token
from trunkline.auth.keys import OPERATOR, Entry, KeyRing, entries
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TenantId

KEY = "k-0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "value", "key", "principal"),
    [
        ("DEV_AGENT", f"{KEY}:agent", KEY, Principal(HOME, "dev_agent", Role.AGENT)),
        ("ADMIN", f"{KEY}:admin", KEY, Principal(HOME, "admin", Role.ADMIN)),
        ("ann", f"{KEY}:approver:acme", KEY, Principal(TenantId("acme"), "ann", Role.APPROVER)),
        ("X", f"a:{KEY}::b:user", f"a:{KEY}::b", Principal(HOME, "x", Role.USER)),
        ("X", f"a:{KEY}:b:user:acme", f"a:{KEY}:b", Principal(TenantId("acme"), "x", Role.USER)),
    ],
)
def test_a_line_is_read_from_the_right(name: str, value: str, key: str, principal: Principal) -> None:
    assert entries({name: value}) == (Entry(key, principal),)


@each(
    ("name", "value", "why"),
    [
        ("X", KEY, "write <key>:<role>"),
        ("X", f"{KEY}:root", "write <key>:<role>"),
        ("X", f"{KEY}:anonymous", "write <key>:<role>"),
        ("ANONYMOUS", f"{KEY}:agent", "strangers go by that name"),
        ("X", f"{KEY}:Admin", "write <key>:<role>"),
        ("X", f"{KEY}:agent:", "the tenant is not a name"),
        ("X", f"{KEY}:agent:a.b", "the tenant is not a name"),
        ("X", f"{KEY}:admin:agent", "it may mean the role admin in a tenant agent"),
        ("X", ":agent", "visible ASCII"),
        ("X", f"{KEY} {KEY}:agent", "visible ASCII"),
        ("X", f" {KEY}:agent", "visible ASCII"),
        ("X", "schlüssel-mit-umlaut:agent", "visible ASCII"),
        ("", f"{KEY}:agent", "a name is"),
        ("a b", f"{KEY}:agent", "a name is"),
    ],
)
def test_a_line_that_does_not_fit_is_refused_by_its_name_and_the_key_is_not_repeated(name: str, value: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        entries({name: value})
    assert refused.value.code == "BAD_API_KEY"
    assert KEY not in refused.value.message
    assert "schlüssel" not in refused.value.message


def test_a_short_key_is_refused_unless_for_development() -> None:
    with pytest.raises(Invalid, match="has 15 characters") as refused:
        entries({"DEV": "123456789012345:agent"})
    assert refused.value.code == "WEAK_API_KEY"
    assert "123456789012345" not in refused.value.message
    assert entries({"DEV": "1234567890123456:agent"})
    assert entries({"DEV": "short:agent"}, short=True)


def test_one_key_of_two_is_refused() -> None:
    with pytest.raises(Invalid, match="the same key"):
        entries({"A": f"{KEY}:agent", "B": f"{KEY}:admin"})


def test_one_name_in_large_and_small_letters_is_refused() -> None:
    with pytest.raises(Invalid, match="small letters"):
        entries({"DEV": f"{KEY}:agent", "dev": f"{KEY}2:agent"})


def test_a_key_finds_its_owner_and_nothing_else_finds_anybody() -> None:
    found = KeyRing(entries({"DEV": f"{KEY}:agent", "OPS": f"{KEY}2:agent:acme"}))
    assert [whose(found, key) for key in (KEY, f"{KEY}2")] == [
        Principal(HOME, "dev", Role.AGENT),
        Principal(TenantId("acme"), "ops", Role.AGENT),
    ]
    for other in ("", KEY[:-1], KEY + "3", KEY.upper(), f" {KEY}", "\ud800", "ä" * 20, "x" * 8000):
        assert found.find(other) is None


def whose(ring: KeyRing, key: str) -> Principal | None:
    found = ring.find(key)
    return found and found.principal


def test_a_key_is_revoked_by_what_every_gateway_on_the_log_makes_of_it_and_nobody_can_guess_from() -> None:
    made = entries({"DEV": f"{KEY}:agent", "OPS": f"{KEY}2:agent"})
    one, two, elsewhere = KeyRing(made, b"seal"), KeyRing(made, b"seal"), KeyRing(made, b"another")
    marks = [found.mark for ring in (one, two, elsewhere) for key in (KEY, f"{KEY}2") if (found := ring.find(key))]
    assert (marks[:2], len(set(marks))) == (marks[2:4], 4)
    assert not any(known in marks for known in (KEY, sha256(KEY.encode()).hexdigest()))


def test_a_key_goes_by_its_name_too_and_the_operators_by_its_text_alone() -> None:
    found = KeyRing((Entry(f"{KEY}3", OPERATOR), *entries({"DEV": f"{KEY}:agent:acme"})))
    assert found.of(TenantId("acme"), "dev") is found.find(KEY) is not None
    assert [found.of(HOME, "dev"), found.of(TenantId("acme"), "DEV"), found.of(HOME, "operator")] == [None] * 3
    assert whose(found, f"{KEY}3") == OPERATOR


def test_a_ring_holds_no_key() -> None:
    found = KeyRing(entries({"DEV": f"{KEY}:agent"}))
    held = [found.__dict__]
    seen: list[object] = []
    while held:
        each = held.pop()
        seen.append(each)
        held.extend(part for part in gc.get_referents(each) if isinstance(part, dict | tuple | list | str | bytes | Token))
    assert not [each for each in seen if (isinstance(each, str) and KEY in each) or (isinstance(each, bytes) and KEY.encode() in each)]


def test_two_processes_keep_the_same_key_under_different_hashes() -> None:
    one, two = (KeyRing(entries({"DEV": f"{KEY}:agent"})) for _ in range(2))
    assert one._hash(KEY) != two._hash(KEY)


def test_what_is_shown_is_compared_in_constant_time_whether_it_is_found_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        lengths.append((len(one), len(other)))
        return one == other

    found = KeyRing(entries({"DEV": f"{KEY}:agent"}))
    monkeypatch.setattr(ring.hmac, "compare_digest", compare)
    assert [found.find(text) is None for text in (KEY, "nobody's", "")] == [False, True, True]
    assert lengths == [(32, 32)] * 3
