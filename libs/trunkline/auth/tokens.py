"""Verifies and mints tokens: the only door to jwt.

The key says which algorithm it takes, never the token; and a key comes from the settings, never from where a token says.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Final, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import HMACAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS
from pydantic import JsonValue

from trunkline.auth.claims import Claims, Terms, Token, bad, parsed, read
from trunkline.auth.principal import Principal, Role, Tier
from trunkline.contracts.errors import Invalid, Unavailable

KNOWN: Final = 10_000
"""Tokens remembered as verified; the oldest gives way. Only a token that holds gets in, so no stranger pushes others out."""
LONGEST: Final = 8192
HS256: Final = "HS256"
NO_SECRET: Final = "NO_SECRET"
_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TYPES: Final = frozenset({"jwt", "at+jwt"})
_NOT_FOLLOWED: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"})
"""What would say where the key lies, or how else to read the token."""
_JWS: Final = PyJWS()


@dataclass(frozen=True, slots=True)
class Key:
    """What a signature is checked with, and the one algorithm that it is for."""

    algorithm: str
    value: jwt.PyJWK | bytes = field(repr=False)
    until: float = math.inf
    """Epoch seconds from which on it counts for nothing."""
    meant: bool = False
    """Others sign for other places with it too: a token must name ours."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret that signs, and the one before it, which is taken for a while. Empty: none."""

    current: bytes = field(default=b"", repr=False)
    previous: bytes = field(default=b"", repr=False)
    previous_until: float = math.inf

    def keys(self) -> tuple[Key, ...]:
        both = ((self.current, math.inf), (self.previous, self.previous_until))
        return tuple(Key(HS256, _fit(secret), until) for secret, until in both if secret)


@dataclass(frozen=True, slots=True)
class Minted:
    """A token as text, and the moment (epoch seconds) from which on it is worth nothing."""

    text: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a token of another kind than a login says, beside what every token does; the role of its principal means nothing."""

    token: Token
    says: Claims


class Tokens:
    """Everything about tokens for one gateway. `keys` are asymmetric ones by their `kid`; see `key_set`."""

    def __init__(
        self, own: Secrets, keys: Mapping[str, Key] | None = None, terms: Terms | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._own = own.keys()
        self._keys = dict(keys or {})
        self._terms = terms or Terms()
        self._now = now
        self._known: dict[bytes, tuple[Token, float]] = {}

    @property
    def longest_s(self) -> float:
        """Seconds that a token may live at most."""
        return self._terms.lifetime_s

    @property
    def signs(self) -> bool:
        """Whether there is a secret to mint with."""
        return bool(self._own)

    def verify(self, text: str) -> Token:
        """What the token says. Raises Unauthenticated (BAD_TOKEN, TOKEN_EXPIRED); whether it was revoked is the roll's to say."""
        try:
            name = blake2b(text.encode("ascii"), digest_size=32).digest()  # asked of every request, and half of what sha256 takes
        except UnicodeEncodeError:
            raise bad("a token is plain ASCII") from None
        found, now = self._known.get(name), self._now()
        if found is not None and now < found[1]:
            return found[0]
        self._known.pop(name, None)
        token, until = self._verified(text, now)
        if len(self._known) >= KNOWN:
            del self._known[next(iter(self._known))]
        self._known[name] = token, until
        return token

    def verify_late(self, text: str, late_s: float) -> Token:
        """As `verify`, also of a token that is over for less than `late_s`: it says who held it, and gets nobody in."""
        now = self._now()
        claims, key = self._opened(text, now, _TYPES)
        return _marked(read(claims, self._terms, now, meant=key.meant, late_s=late_s), text)

    def mint(self, principal: Principal, lifetime_s: float) -> Minted:
        """A token for `principal`; `lifetime_s` is cut to what tokens may live. Raises Unavailable (NO_SECRET)."""
        key, now = self._signing(), self._now()
        expires = math.floor(now + min(lifetime_s, self._terms.lifetime_s))
        text = jwt.encode(self._claims(principal, now, expires), _bytes(key), algorithm=HS256)
        return Minted(text, float(expires))

    def mint_ticket(self, kind: str, principal: Principal, says: Mapping[str, JsonValue], lifetime_s: float) -> Minted:
        """A token that is good for one kind of thing: it has no role, and a type of its own, so that it gets nobody in anywhere else.

        Raises Unavailable (NO_SECRET).
        """
        key, now = self._signing(), self._now()
        expires = math.floor(now + min(lifetime_s, self._terms.lifetime_s))
        own = {name: text for name, text in self._claims(principal, now, expires).items() if name not in ("role", "tier")}
        return Minted(jwt.encode({**says, **own}, _bytes(key), algorithm=HS256, headers={"typ": _typed(kind)}), float(expires))

    def verify_ticket(self, kind: str, text: str) -> Ticket:
        """Raises Unauthenticated (BAD_TOKEN, TOKEN_EXPIRED), also for one of another kind; whether it was revoked is the roll's to say."""
        now = self._now()
        claims, key = self._opened(text, now, frozenset({_typed(kind)}))
        if "role" in claims:
            raise bad("this is a login, and no ticket")
        return Ticket(_marked(read({**claims, "role": Role.USER.value}, self._terms, now, meant=key.meant), text), claims)

    def knows(self, secret: str) -> bool:
        """Whether this is the secret, or the one before it while that counts. Takes the same time whatever comes."""
        shown, now = sha256(secret.encode("utf-8", "surrogatepass")).digest(), self._now()
        same = [hmac.compare_digest(shown, sha256(_bytes(key)).digest()) & (now < key.until) for key in self._own]
        return any(same)

    def _claims(self, principal: Principal, now: float, expires: int) -> dict[str, object]:
        pro = {"tier": principal.tier.value} if principal.tier is Tier.PRO else {}
        place = {name: text for name, text in (("aud", self._terms.audience), ("iss", self._terms.issuer)) if text}
        return {
            "sub": principal.subject,
            "role": principal.role.value,
            "tenant": principal.tenant,
            "iat": math.floor(now * 1000) / 1000,  # milliseconds: a token minted just after a revocation is told from those before
            "exp": expires,
            "jti": secrets.token_urlsafe(12),
            **pro,
            **place,
        }

    def _signing(self) -> Key:
        if not self._own:
            raise Unavailable("no secret is configured to sign tokens with; set ORCHESTRATOR_JWT_SECRET", code=NO_SECRET)
        return self._own[0]

    def _verified(self, text: str, now: float) -> tuple[Token, float]:
        claims, key = self._opened(text, now, _TYPES)
        token = read(claims, self._terms, now, meant=key.meant)
        return _marked(token, text), min(token.expires_at, key.until)

    def _opened(self, text: str, now: float, types: frozenset[str]) -> tuple[Claims, Key]:
        """What is signed, and by which key."""
        form = _FORM.fullmatch(text) if len(text) <= LONGEST else None
        if form is None:
            raise bad("this is not a token: three parts of letters, digits, '-' and '_' with dots between them")
        head, body = parsed(_decoded(form[1]), "header"), _decoded(form[2])
        _decoded(form[3])
        key = next((key for key in self._fitting(head, now, types) if _signed(text, key)), None)
        if key is None:
            raise bad("the token is not signed by anybody whom we know")
        return parsed(body, "payload"), key

    def _fitting(self, head: Claims, now: float, types: frozenset[str]) -> Iterator[Key]:
        """The keys that may have signed a token with this header, by its `kid` and nothing else."""
        _check_header(head, types)
        kid = head.get("kid")
        found = self._own if kid is None else [self._keys[kid]] if isinstance(kid, str) and kid in self._keys else ()
        yield from (key for key in found if key.algorithm == head["alg"] and now < key.until)


def app_assertion(app_id: str, key_pem: str, now: float) -> str:
    """By what a GitHub App says that it is itself: a JWT (RS256) that counts for nine minutes from `now`, in epoch seconds.

    Raises Invalid (APP_KEY_UNREADABLE) for what is no private RSA key; the key is never repeated.
    """
    # A minute back, because their clock may be behind ours.
    claims = {"iss": app_id, "iat": math.floor(now) - 60, "exp": math.floor(now) + 540}
    try:
        return jwt.encode(claims, _private(key_pem), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError):
        message = "the key of the GitHub App is no private RSA key in PEM form; download one from the App's settings"
        raise Invalid(message, code="APP_KEY_UNREADABLE") from None


@lru_cache(maxsize=4)
def _private(key_pem: str) -> RSAPrivateKey:
    """Read once: checking it takes some 100 ms, for which nothing else is served."""
    key = RSAAlgorithm(RSAAlgorithm.SHA256).prepare_key(key_pem)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError
    return key


def key_set(text: str) -> dict[str, Key]:
    """The public keys of a JWKS by their `kid`. Raises Invalid (BAD_JWKS) for a set that is not wholly what it should be."""
    try:
        listed = json.loads(text)["keys"]
        return _keys(listed) if isinstance(listed, list) and listed else _bad_set("there is no key in it")
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
        return _bad_set("it is not a JSON Web Key Set")


def _keys(listed: list[dict[str, object]]) -> dict[str, Key]:
    found = {str(each.get("kid") or _bad_set("a key has no kid")): _public(each) for each in listed}
    return found if len(found) == len(listed) else _bad_set("two keys have one kid")


def _public(each: dict[str, object]) -> Key:
    kinds = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
    algorithm = kinds.get((str(each.get("kty")), each.get("crv")))  # type: ignore[arg-type]  # whatever it is, it is looked up only
    if algorithm is None:
        return _bad_set("a key is of a kind that is not taken (RSA, EC P-256 and Ed25519 are; shared secrets are not)")
    if each.get("alg", algorithm) != algorithm or each.get("use", "sig") != "sig":
        return _bad_set(f"a key says that it is for something else than {algorithm} signatures")
    if "d" in each:
        return _bad_set("it holds a private key, which has no business here; leave `d` and what belongs to it out")
    if algorithm == "RS256" and len(_decoded(str(each.get("n", "")).rstrip("="))) < 256:
        return _bad_set("an RSA key has less than 2048 bits")
    return Key(algorithm, jwt.PyJWK(each, algorithm), meant=True)


def _bad_set(why: str) -> NoReturn:
    raise Invalid(f"the file of public keys (jwks_file) cannot be used: {why}", code="BAD_JWKS")


def mark_of(text: str) -> str:
    """What a token is revoked by: the same whatever is done to its signature, and nobody has the token by it."""
    return sha256(text.rpartition(".")[0].encode("utf-8", "surrogatepass")).hexdigest()


def _marked(token: Token, text: str) -> Token:
    return replace(token, mark=mark_of(text))


def _typed(kind: str) -> str:
    return f"{kind}+jwt"


def _check_header(head: Claims, types: frozenset[str]) -> None:
    kind = head.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in types:
        raise bad("the token says that it is something else (typ)")
    if not isinstance(head.get("alg"), str) or not head.keys().isdisjoint(_NOT_FOLLOWED):
        raise bad("the token's header asks for what is not done here")


def _signed(text: str, key: Key) -> bool:
    try:
        _JWS.decode(text, key.value, algorithms=[key.algorithm])
    except jwt.PyJWTError:
        return False
    return True


def _decoded(part: str) -> bytes:
    """Base64url as it must be written: one text for one value, or a token would have many names."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
    except binascii.Error:
        raw = b""
    if not raw or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise bad("a part of the token is not base64url")
    return raw


def _bytes(key: Key) -> bytes:
    return key.value if isinstance(key.value, bytes) else b""


def _fit(secret: bytes) -> bytes:
    """Raises Invalid (BAD_SECRET) for what is a public key or a certificate: everybody knows those."""
    try:
        return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except jwt.InvalidKeyError:
        message = "the secret that signs tokens is a key of another kind (PEM or SSH); make one with `openssl rand -hex 32`"
        raise Invalid(message, code="BAD_SECRET") from None
