"""Tokens that nobody here minted, or that say what none may say: every one is refused, and none is repeated in the refusal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.each import each
from tests.unit.auth.forge import HEADER, NOW, OTHER, SECRET, b64, claims, forged, good
from trunkline.auth.claims import Terms
from trunkline.auth.tokens import Secrets, Tokens, key_set
from trunkline.contracts.errors import Unauthenticated

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
THEIRS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SET = json.dumps(
    {
        "keys": [
            {**jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "idp-1"},
            {**jwt.algorithms.ECAlgorithm.to_jwk(CURVE.public_key(), as_dict=True), "kid": "idp-2"},
        ]
    }
)


def header(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**HEADER, **changes}.items() if value is not None}


def head(**changes: Any) -> str:
    return forged(claims(), header(**changes))


def cut(text: str, last: int) -> str:
    return text[:-last]


def with_signature(signature: str) -> str:
    return good().rpartition(".")[0] + "." + signature


def twin_in_the_last_letter() -> str:
    """The last letter of 32 bytes holds two bits that nothing reads: the same signature in another spelling."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = good()
    return token[:-1] + letters[letters.index(token[-1]) + 1]


def payload(raw: str) -> str:
    return forged(raw.encode())


def by_rsa(key: Any, kid: str | None, alg: str = "RS256") -> str:
    return jwt.encode(claims(), key, algorithm=alg, headers={"kid": kid} if kid else None)


def raw_claims(**spelled: str) -> str:
    """Claims with values written as they stand, which json.dumps would not write."""
    pairs = {name: json.dumps(value) for name, value in claims().items()} | spelled
    return payload("{" + ",".join(f'"{name}":{value}' for name, value in pairs.items()) + "}")


FORGED: dict[str, Callable[[], str]] = {
    "alg none without a signature": lambda: forged(claims(), header(alg="none")).rpartition(".")[0] + ".",
    "alg none with a signature": lambda: head(alg="none"),
    "alg nOnE": lambda: head(alg="nOnE"),
    "alg NONE, the last dot left out": lambda: forged(claims(), header(alg="NONE")).rpartition(".")[0],
    "alg HS512, signed so with our secret": lambda: forged(claims(), header(alg="HS512"), digest=hashlib.sha512),
    "alg HS384, signed so with our secret": lambda: forged(claims(), header(alg="HS384"), digest=hashlib.sha384),
    "alg hs256 in small letters": lambda: head(alg="hs256"),
    "alg RS256 in the header, HMAC with our secret": lambda: head(alg="RS256"),
    "alg missing": lambda: head(alg=None),
    "alg a list": lambda: head(alg=["HS256"]),
    "alg null": lambda: forged(claims(), b'{"alg":null}'),
    "alg twice": lambda: forged(claims(), b'{"alg":"none","alg":"HS256"}'),
    "the public RSA key as HMAC secret": lambda: forged(claims(), header(kid="idp-1"), secret=RSA_PEM),
    "the public RSA key as HMAC secret, alg RS256": lambda: forged(claims(), header(alg="RS256", kid="idp-1"), secret=RSA_PEM),
    "RS256 by a key of the attacker's under our kid": lambda: by_rsa(THEIRS, "idp-1"),
    "RS256 by our key without a kid": lambda: by_rsa(RSA, None),
    "RS256 by our key under the kid of another": lambda: by_rsa(RSA, "idp-2"),
    "PS256 by our RSA key": lambda: by_rsa(RSA, "idp-1", alg="PS256"),
    "RS512 by our RSA key": lambda: by_rsa(RSA, "idp-1", alg="RS512"),
    "ES256 with a signature of zeros": lambda: by_rsa(CURVE, "idp-2", alg="ES256").rpartition(".")[0] + "." + b64(bytes(64)),
    "ES256 with a signature that is too short": lambda: by_rsa(CURVE, "idp-2", alg="ES256").rpartition(".")[0] + "." + b64(b"x"),
    "no signature": lambda: with_signature(""),
    "signed with another secret": lambda: forged(claims(), secret=OTHER),
    "signed with an empty secret": lambda: forged(claims(), secret=b""),
    "signature cut by one letter": lambda: cut(good(), 1),
    "signature cut by four letters": lambda: cut(good(), 4),
    "signature with a letter more": lambda: good() + "A",
    "signature spelled differently in bits that nothing reads": twin_in_the_last_letter,
    "signature with padding": lambda: good() + "=",
    "signature in the plain alphabet": lambda: with_signature("+/" * 21 + "A"),
    "signature of other claims": lambda: with_signature(good(role="user").rpartition(".")[2]),
    "a fourth part": lambda: good() + ".AAAA",
    "two parts": lambda: good().rpartition(".")[0],
    "one part": lambda: good().replace(".", ""),
    "five parts, as an encrypted one has": lambda: ".".join(["AAAA"] * 5),
    "empty": lambda: "",
    "dots alone": lambda: "..",
    "space at the end": lambda: good() + " ",
    "line break at the end": lambda: good() + "\n",
    "space between the parts": lambda: good().replace(".", " . "),
    "letters that are not ASCII": lambda: good()[:-1] + "é",
    "bytes that are no text": lambda: good()[:-1] + "\udcff",
    "letters that look like dots": lambda: good().replace(".", "\u2024"),
    "200,000 letters": lambda: "A" * 200_000 + good(),
    "jku": lambda: head(jku="https://evil.example/keys"),
    "x5u": lambda: head(x5u="https://evil.example/cert"),
    "x5c": lambda: head(x5c=["MIIB"]),
    "jwk with a key of the attacker's": lambda: forged(
        claims(), header(jwk={"kty": "oct", "k": b64(OTHER.encode()), "alg": "HS256"}), secret=OTHER
    ),
    "crit": lambda: head(crit=["exp"]),
    "b64 false": lambda: head(b64=False, crit=["b64"]),
    "zip": lambda: head(zip="DEF"),
    "kid that walks the file system": lambda: forged(claims(), header(kid="../../../../dev/null"), secret=b""),
    "kid that speaks SQL": lambda: forged(claims(), header(kid="x' UNION SELECT 'a secret'--"), secret=b"a secret"),
    "kid of nobody": lambda: head(kid="idp-9"),
    "kid a number": lambda: head(kid=1),
    "kid a list": lambda: head(kid=["idp-1"]),
    "typ of something else": lambda: head(typ="secevent+jwt"),
    "typ a number": lambda: head(typ=7),
    "header not an object": lambda: forged(claims(), b"[]"),
    "header not JSON": lambda: forged(claims(), b"{"),
    "header nested 3,000 deep": lambda: forged(claims(), b"[" * 3000),
    "exp missing": lambda: good(exp=None),
    "exp null": lambda: raw_claims(exp="null"),
    "exp 1e300": lambda: raw_claims(exp="1e300"),
    "exp 1e999, which reads as infinity": lambda: raw_claims(exp="1e999"),
    "exp of 400 digits": lambda: raw_claims(exp="9" * 400),
    "exp of 5,000 digits": lambda: raw_claims(exp="9" * 5000),
    "exp NaN": lambda: raw_claims(exp="NaN"),
    "exp Infinity": lambda: raw_claims(exp="Infinity"),
    "exp as text": lambda: good(exp=str(int(NOW) + 60)),
    "exp true": lambda: good(exp=True),
    "exp a list": lambda: good(exp=[int(NOW) + 60]),
    "exp passed a second ago": lambda: good(exp=int(NOW) - 1),
    "exp now": lambda: good(exp=int(NOW)),
    "exp negative": lambda: good(exp=-1),
    "lives two days": lambda: good(exp=int(NOW) + 2 * 86400),
    "lives a day and is from tomorrow": lambda: good(iat=int(NOW) + 86400, exp=int(NOW) + 2 * 86400),
    "lives two days from yesterday on": lambda: good(iat=int(NOW) - 86400, exp=int(NOW) + 86400),
    "lives two days and does not say since when": lambda: good(iat=None, exp=int(NOW) + 2 * 86400),
    "iat two minutes ahead": lambda: good(iat=int(NOW) + 120),
    "iat as text": lambda: good(iat=str(int(NOW))),
    "iat true": lambda: good(iat=True),
    "iat null": lambda: raw_claims(iat="null"),
    "nbf two minutes ahead": lambda: good(nbf=int(NOW) + 120),
    "nbf as text": lambda: good(nbf="0"),
    "role a list": lambda: good(role=["admin"]),
    "role an object": lambda: good(role={"admin": True}),
    "role unknown": lambda: good(role="root"),
    "role in large letters": lambda: good(role="ADMIN"),
    "role anonymous": lambda: good(role="anonymous"),
    "sub of strangers": lambda: good(sub="anonymous"),
    "sub of strangers in other letters": lambda: good(sub="ANONYMOUS"),
    "role missing": lambda: good(role=None),
    "role two words": lambda: good(role="user admin"),
    "role twice": lambda: payload(json.dumps(claims())[:-1] + ',"role":"admin"}'),
    "sub missing": lambda: good(sub=None),
    "sub a number": lambda: good(sub=7),
    "sub empty": lambda: good(sub=""),
    "sub blank": lambda: good(sub=" "),
    "sub with a line break": lambda: good(sub="ann\nadmin"),
    "sub with NUL": lambda: good(sub="ann\x00"),
    "sub with half a character": lambda: good(sub="ann\ud800"),
    "sub that turns the writing direction": lambda: good(sub="ann\u202eadmin"),
    "sub of 129 characters": lambda: good(sub="a" * 129),
    "tenant that walks": lambda: good(tenant="../public"),
    "tenant that is a wildcard": lambda: good(tenant="*"),
    "tenant with a dot": lambda: good(tenant="a.b"),
    "tenant empty": lambda: good(tenant=""),
    "tenant a list": lambda: good(tenant=["acme"]),
    "tenant null": lambda: raw_claims(tenant="null"),
    "tier operator": lambda: good(tier="operator"),
    "tier a number": lambda: good(tier=9),
    "jti a number": lambda: good(jti=7),
    "aud of another": lambda: good(aud="someone-else"),
    "aud a list of others": lambda: good(aud=["someone", "else"]),
    "iss of another": lambda: good(iss="https://evil.example"),
    "payload a list": lambda: payload("[]"),
    "payload a text": lambda: payload('"x"'),
    "payload null": lambda: payload("null"),
    "payload not JSON": lambda: payload("{"),
    "payload not UTF-8": lambda: forged(b'{"sub":"\xff"}'),
    "payload empty": lambda: forged(b""),
    "payload nested 2,000 deep": lambda: payload('{"a":' * 1000 + "1" + "}" * 1000),
    "payload with what follows": lambda: payload(json.dumps(claims()) + "{}"),
}  # fmt: skip


def tokens(now: float = NOW, terms: Terms | None = None) -> Tokens:
    return Tokens(Secrets(SECRET.encode()), key_set(SET), terms, lambda: now)


@each("kind", FORGED)
def test_a_forged_token_is_refused(kind: str) -> None:
    shown = FORGED[kind]()
    with pytest.raises(Unauthenticated) as refused:
        tokens().verify(shown)
    assert refused.value.code in ("BAD_TOKEN", "TOKEN_EXPIRED")
    assert len(refused.value.message) < 200
    assert not any(secret in refused.value.message for secret in (SECRET, "evil", "root", shown[:40] or "eyJ"))


@each("kind", FORGED)
def test_where_audience_and_issuer_are_set_the_same_are_refused(kind: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens(terms=Terms(audience="trunkline", issuer="https://id.example")).verify(FORGED[kind]())


def test_what_the_forgeries_are_made_of_is_taken_when_nothing_is_forged() -> None:
    """Else every one of them might be refused for a reason of its own."""
    ours = tokens()
    taken = (
        good(),
        raw_claims(exp=str(int(NOW) + 60)),
        head(typ="at+jwt"),
        head(typ=None),
        by_rsa(RSA, "idp-1"),
        by_rsa(CURVE, "idp-2", "ES256"),
    )
    assert {ours.verify(text).principal.subject for text in taken} == {"dev-agent-1"}


def test_no_letter_of_a_token_may_be_another() -> None:
    ours, text = tokens(), good()
    ours.verify(text)
    for place, letter in enumerate(text):
        for other in {"A", "_", ".", chr(ord(letter) ^ 1)} - {letter}:
            with pytest.raises(Unauthenticated):
                ours.verify(text[:place] + other + text[place + 1 :])


def test_there_are_many_kinds() -> None:
    assert len(FORGED) >= 25
