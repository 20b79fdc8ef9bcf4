"""Tickets are tokens that get nobody in anywhere else; signing keys are known as the SDKs show them."""

from __future__ import annotations

import pytest

from trunkline.auth.principal import HOME, Principal, Role
from trunkline.auth.signing_keys import SigningKeys, hashed
from trunkline.auth.tokens import Secrets, Tokens
from trunkline.contracts.errors import Invalid, Unauthenticated, Unavailable

SECRET, OLD = b"a secret of thirty-two bytes or more", b"the secret that was there before it"
ANN = Principal(HOME, "ann", Role.ADMIN)
KEY = "signkey-prod-12345678901234567890123456789012"


def tokens(current: bytes = b"", previous: bytes = b"", now: float = 1000.0) -> Tokens:
    return Tokens(Secrets(current, previous), now=lambda: now)


def test_a_ticket_says_what_was_put_into_it_and_whose_it_is_without_a_role() -> None:
    ticket = tokens(SECRET).verify_ticket("realtime", tokens(SECRET).mint_ticket("realtime", ANN, {"channel": "tasks"}, 60).text)
    assert ticket.says["channel"] == "tasks"
    assert (ticket.token.principal.tenant, ticket.token.principal.subject, ticket.token.expires_at) == (HOME, "ann", 1060.0)
    assert "role" not in ticket.says


def test_what_is_put_into_a_ticket_cannot_stand_for_what_every_token_says() -> None:
    made = tokens(SECRET).mint_ticket("realtime", ANN, {"tenant": "acme", "exp": 9e9, "sub": "eve"}, 60)
    ticket = tokens(SECRET).verify_ticket("realtime", made.text)
    assert (ticket.token.principal.tenant, ticket.token.principal.subject, ticket.token.expires_at) == (HOME, "ann", 1060.0)


def test_neither_a_ticket_nor_a_login_stands_for_the_other() -> None:
    ours = tokens(SECRET)
    with pytest.raises(Unauthenticated):
        ours.verify(ours.mint_ticket("realtime", ANN, {}, 60).text)
    with pytest.raises(Unauthenticated):
        ours.verify_ticket("realtime", ours.mint(ANN, 60).text)
    with pytest.raises(Unauthenticated):
        ours.verify_ticket("realtime", ours.mint_ticket("other", ANN, {}, 60).text)


def test_a_ticket_outlives_a_change_of_secret_and_not_its_time() -> None:
    made = tokens(OLD).mint_ticket("realtime", ANN, {}, 60).text
    assert tokens(SECRET, OLD).verify_ticket("realtime", made).token.expires_at == 1060.0
    with pytest.raises(Unauthenticated, match="expired"):
        tokens(SECRET, OLD, now=1061.0).verify_ticket("realtime", made)
    with pytest.raises(Unavailable):
        tokens().mint_ticket("realtime", ANN, {}, 60)


def test_a_hash_is_made_as_the_npm_package_makes_it() -> None:
    assert hashed(KEY) == "signkey-prod-51a488e06e9c69c555b8ad5e2c4629bb3135b96accd1f23451af75e06d3aee9c"


@pytest.mark.parametrize("key", ["signkey-prod-", "12", "signkey-prod-" + "x" * 32, "signkey-" + "a" * 33, "a b" * 20])
def test_what_is_no_signing_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(Invalid) as error:
        SigningKeys.of((key,))
    assert error.value.code == "BAD_SIGNING_KEY"
    assert key not in str(error.value.message)


def test_a_key_is_known_raw_and_hashed_and_no_other_is() -> None:
    keys = SigningKeys.of((KEY, ""))
    assert keys and keys.know(KEY) and keys.know(hashed(KEY))
    assert not any(map(keys.know, ("", KEY[:-1], hashed(hashed(KEY)), KEY.removeprefix("signkey-prod-"))))
    assert not SigningKeys.of(("",))
    assert KEY not in repr(keys)
