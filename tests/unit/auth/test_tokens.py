"""Tokens that hold: the samples of the document, our own, those of others by their public keys; and the change of a secret."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.each import each
from tests.unit.auth.forge import HEADER, NOW, OTHER, SECRET, claims, forged, good
from trunkline.auth import tokens as door
from trunkline.auth.claims import Terms, strong
from trunkline.auth.principal import HOME, Principal, Role, Tier
from trunkline.auth.tokens import Secrets, Tokens, key_set
from trunkline.contracts.errors import Invalid, Unauthenticated, Unavailable
from trunkline.contracts.ids import TenantId

ANN = Principal(TenantId("acme"), "ann", Role.APPROVER)
ED = ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ours(clock: Clock, secrets: Secrets | None = None, **rest: Any) -> Tokens:
    return Tokens(secrets or Secrets(SECRET.encode()), now=clock, **rest)


def ed_jwk(**changes: Any) -> dict[str, Any]:
    whole = {**jwt.algorithms.OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "k1", **changes}
    return {name: value for name, value in whole.items() if value is not None}


def listed(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": keys})


def test_a_token_as_the_python_sample_makes_it_is_taken() -> None:
    now = datetime.now(UTC)
    made = jwt.encode({"sub": "dev-agent-1", "role": "agent", "exp": now + timedelta(hours=24), "iat": now}, SECRET, algorithm="HS256")
    token = Tokens(Secrets(SECRET.encode())).verify(made)
    assert token.principal == Principal(HOME, "dev-agent-1", Role.AGENT, Tier.AUTHENTICATED)


def test_a_token_as_the_node_sample_makes_it_is_taken(clock: Clock) -> None:
    made = forged({"sub": "dev-agent-1", "role": "agent", "exp": int(NOW) + 24 * 60 * 60, "iat": int(NOW)}, {"alg": "HS256", "typ": "JWT"})
    assert ours(clock).verify(made).principal == Principal(HOME, "dev-agent-1", Role.AGENT)


def test_a_token_names_its_tenant_and_tier(clock: Clock) -> None:
    principal = ours(clock).verify(good(tenant="acme", tier="pro", role="admin", sub="Ann Ö.")).principal
    assert principal == Principal(TenantId("acme"), "Ann Ö.", Role.ADMIN, Tier.PRO)


def test_a_clock_that_runs_a_little_ahead_is_borne_with(clock: Clock) -> None:
    assert ours(clock).verify(good(iat=int(NOW) + 50, nbf=int(NOW) + 50, exp=int(NOW) + 86450)).expires_at == NOW + 86450


def test_a_token_without_iat_is_taken_and_counts_as_minted_at_any_time(clock: Clock) -> None:
    assert ours(clock).verify(good(iat=None, exp=int(NOW) + 3600)).issued_at == -math.inf


def test_what_we_mint_we_take(clock: Clock) -> None:
    signer = ours(clock)
    minted = signer.mint(ANN, 3600)
    token = signer.verify(minted.text)
    assert token.principal == ANN
    assert token.expires_at == minted.expires_at == NOW + 3600
    assert signer.mint(ANN, 3600).text != minted.text, "each has an id of its own"


def test_what_we_mint_names_our_audience_and_issuer(clock: Clock) -> None:
    signer = ours(clock, terms=Terms(audience="trunkline", issuer="https://id.example"))
    assert signer.verify(signer.mint(ANN, 60).text).principal == ANN
    with pytest.raises(Unauthenticated):
        ours(clock).verify(signer.mint(ANN, 60).text)


def test_nothing_we_mint_lives_longer_than_tokens_may(clock: Clock) -> None:
    assert ours(clock, terms=Terms(lifetime_s=60)).mint(ANN, 10**6).expires_at == NOW + 60


def test_an_operator_mints_no_operator(clock: Clock) -> None:
    signer = ours(clock)
    minted = signer.mint(Principal(HOME, "operator", Role.ADMIN, Tier.OPERATOR), 60)
    assert signer.verify(minted.text).principal.tier is Tier.AUTHENTICATED


def test_without_a_secret_nothing_is_minted_and_nothing_taken(clock: Clock) -> None:
    nobody = ours(clock, Secrets())
    assert not nobody.signs
    with pytest.raises(Unavailable, match="ORCHESTRATOR_JWT_SECRET"):
        nobody.mint(ANN, 60)
    for text in (good(), forged(claims(), secret=b"")):
        with pytest.raises(Unauthenticated):
            nobody.verify(text)


def test_a_changed_secret_takes_the_old_tokens_until_the_overlap_is_over(clock: Clock) -> None:
    changed = Secrets(SECRET.encode(), OTHER.encode(), NOW + 100)
    rotated, old = ours(clock, changed), forged(claims(), secret=OTHER)
    assert rotated.verify(old).principal == rotated.verify(good()).principal
    assert jwt.decode(rotated.mint(ANN, 60).text, SECRET, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert rotated.knows(SECRET)
    assert rotated.knows(OTHER)
    clock.now += 100
    assert not rotated.knows(OTHER)
    assert rotated.verify(good())
    with pytest.raises(Unauthenticated):
        rotated.verify(old)  # although it was remembered as verified


def test_only_the_secret_is_known_for_the_secret(clock: Clock) -> None:
    signer = ours(clock)
    assert [signer.knows(text) for text in (SECRET, SECRET[:-1], "", SECRET + "\x00", "ä\ud800", OTHER)] == [True, *([False] * 5)]


def test_whatever_is_shown_is_compared_with_every_secret_in_constant_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        lengths.append((len(one), len(other)))
        return one == other

    signer = ours(clock, Secrets(SECRET.encode(), OTHER.encode()))
    monkeypatch.setattr(door.hmac, "compare_digest", compare)
    for shown in (SECRET, OTHER, "", "x" * 10_000):
        signer.knows(shown)
    assert lengths == [(32, 32)] * 8, "two comparisons each time, of hashes, so that not even the length shows"


@pytest.mark.parametrize("secret", ["", "YOUR_SECRET", "x" * 31])
def test_a_weak_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(Invalid, match=f"has {len(secret)} bytes") as refused:
        strong(secret)
    assert refused.value.code == "WEAK_SECRET"
    assert not secret or secret not in refused.value.message


def test_a_public_key_is_no_secret() -> None:
    pem = b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 64 + b"\n-----END PUBLIC KEY-----\n"
    with pytest.raises(Invalid, match="PEM") as refused:
        Tokens(Secrets(pem))
    assert refused.value.code == "BAD_SECRET"


def test_no_secret_is_shown_by_what_holds_it(clock: Clock) -> None:
    shown = [Secrets(SECRET.encode(), OTHER.encode()), *Secrets(SECRET.encode()).keys(), ours(clock).mint(ANN, 60), ours(clock)]
    assert not any(hidden in repr(each) for each in shown for hidden in (SECRET, OTHER, "eyJ"))


def test_a_token_is_remembered_until_it_ends(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    signer, text = ours(clock), good()
    first = signer.verify(text)
    with monkeypatch.context() as patched:
        patched.setattr(door, "_signed", lambda *_: pytest.fail("verified again"))
        assert signer.verify(text) is first
    clock.now = first.expires_at
    with pytest.raises(Unauthenticated) as refused:
        signer.verify(text)
    assert refused.value.code == "TOKEN_EXPIRED"


def test_the_memory_of_tokens_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "KNOWN", 10)
    signer = ours(clock)
    for number in range(25):
        signer.verify(good(sub=f"s{number}"))
    assert len(signer._known) == 10


def test_a_token_with_another_signature_of_the_same_key_has_the_same_mark(clock: Clock) -> None:
    """Who can sign ECDSA twice must not escape a revocation by it."""
    public = {**jwt.algorithms.ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "k1"}
    signer = ours(clock, keys=key_set(listed(public)))
    one, two = (jwt.encode(claims(), EC, algorithm="ES256", headers={"kid": "k1"}) for _ in range(2))
    assert one != two
    assert signer.verify(one).mark == signer.verify(two).mark


def test_others_sign_by_the_key_that_their_kid_names(clock: Clock) -> None:
    signer = ours(clock, keys=key_set(listed(ed_jwk())))
    made = jwt.encode(claims(), ED, algorithm="EdDSA", headers={"kid": "k1"})
    assert signer.verify(made).principal.subject == "dev-agent-1"
    assert signer.verify(good()).principal.subject == "dev-agent-1", "and ours are taken beside them"


def test_what_others_sign_must_name_us_where_we_have_a_name(clock: Clock) -> None:
    signer = ours(clock, keys=key_set(listed(ed_jwk())), terms=Terms(audience="trunkline"))
    made = {aud: jwt.encode(claims(aud=aud), ED, algorithm="EdDSA", headers={"kid": "k1"}) for aud in (None, "trunkline", "other")}
    assert signer.verify(made["trunkline"]).principal.subject == "dev-agent-1"
    assert signer.verify(good()), "what our own secret signs is for nobody else"
    for aud in (None, "other"):
        with pytest.raises(Unauthenticated):
            signer.verify(made[aud])


SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
BAD_SETS = {
    "not JSON": "{",
    "not an object": "[]",
    "no keys": listed(),
    "keys not a list": '{"keys": {}}',
    "a key that is a text": '{"keys": ["x"]}',
    "a shared secret": listed({"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}),
    "a shared secret that says RS256": listed({"kty": "oct", "k": "c2VjcmV0", "kid": "k1", "alg": "RS256"}),
    "a kind that is a list": listed(ed_jwk(crv=["Ed25519"])),
    "a curve that is not taken": listed(ed_jwk(crv="Ed448")),
    "no kid": listed(ed_jwk(kid=None)),
    "one kid twice": listed(ed_jwk(), ed_jwk()),
    "for encryption": listed(ed_jwk(use="enc")),
    "of another algorithm": listed(ed_jwk(alg="HS256")),
    "a key that is none": listed(ed_jwk(x="AA")),
    "a private key": listed({**jwt.algorithms.OKPAlgorithm.to_jwk(ED, as_dict=True), "kid": "k1"}),
    "a small RSA key": listed({**jwt.algorithms.RSAAlgorithm.to_jwk(SMALL.public_key(), as_dict=True), "kid": "k1"}),
}


@each("kind", BAD_SETS)
def test_a_key_set_that_is_not_wholly_right_is_refused(kind: str) -> None:
    with pytest.raises(Invalid, match="jwks_file") as refused:
        key_set(BAD_SETS[kind])
    assert refused.value.code == "BAD_JWKS"


def test_nothing_is_ever_fetched() -> None:
    text = Path(door.__file__).read_text()
    assert not [word for word in ("PyJWKClient", "urllib", "aiohttp", "verify_signature", "http") if word in text]


def test_the_header_of_the_samples_is_what_the_tests_forge_with() -> None:
    assert jwt.get_unverified_header(jwt.encode({}, SECRET, algorithm="HS256")) == HEADER
