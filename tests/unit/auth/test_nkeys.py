"""Keys as NATS writes them: read, written, and refused where a letter is wrong."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trunkline.auth.nats_users import Grant, user
from trunkline.auth.nkeys import Issuer, new_seed
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TenantId


def test_a_seed_is_read_as_it_was_written() -> None:
    seed = new_seed()
    assert seed.startswith("SA") and len(seed) == 58
    assert Issuer.of(seed).public == Issuer.of(f" {seed}\n").public
    assert Issuer.of(seed).public.startswith("A") and len(Issuer.of(seed).public) == 56


WRONG = ("", "SA", "SU" + "A" * 56, "ß" * 58, new_seed()[:-1] + "1", new_seed()[:20] + "A" * 38)


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_what_is_no_seed_of_an_account_is_refused_unseen(wrong: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Issuer.of(wrong)
    assert len(wrong) < 5 or wrong not in refusal.value.message


def test_what_is_signed_verifies_by_the_public_key() -> None:
    issuer = Issuer.of(new_seed())
    head, body, signature = issuer.signed({"sub": "x"}, 1.0).split(".")
    raw = base64.b32decode(issuer.public + "=" * (-len(issuer.public) % 8))[1:33]
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.urlsafe_b64decode(signature + "=="), f"{head}.{body}".encode())
    assert json.loads(base64.urlsafe_b64decode(body + "=="))["iss"] == issuer.public


def test_a_user_may_what_its_name_says_and_nothing_with_a_wildcard_but_its_own_ears() -> None:
    claims = user("U1", Grant(TenantId("acme"), "bot", "m", 1.5, 9))
    rights = json.loads(json.dumps(claims))["nats"]
    assert all(subject.startswith("agent.acme.bot.") and not set("*>") & set(subject) for subject in rights["pub"]["allow"])
    assert rights["sub"]["allow"] == ["_INBOX.acme.bot.>", "told.acme.bot.>"]
    assert claims["exp"] == 9


def test_a_grant_is_read_as_it_was_written() -> None:
    grant = Grant(TenantId("acme"), "bot", "key:1", float("-inf"))
    assert Grant.read(str(grant)) == grant
    for wrong in ("", "acme.bot m", "acme.bot m x", "a.b.c m 1"):
        with pytest.raises(ValueError):
            Grant.read(wrong)
