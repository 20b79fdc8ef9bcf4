"""Who asks, from the credential of a request alone; and how the settings make what tells."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import ValidationError

from tests.unit.auth.forge import OTHER, SECRET, forged
from trunkline.auth.claims import Token, owner
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role, Tier
from trunkline.contracts.errors import Invalid, Unauthenticated
from trunkline.contracts.ids import TenantId
from trunkline.runtime.settings import load, rows
from trunkline.telemetry import struck
from trunkline_gateway.adapters.credentials import Identity, identity
from trunkline_gateway.settings import Settings

KEY, OPERATORS = "k-0123456789abcdef", "operators-key-of-forty-three-characters-000"
DEV = Principal(HOME, "dev", Role.AGENT)
ANN = Principal(HOME, "ann", Role.USER)
OPERATOR = Principal(HOME, "operator", Role.ADMIN, Tier.OPERATOR)


class Roll:
    """What the bus keeps, kept here."""

    def __init__(self) -> None:
        self.marks: set[str] = set()
        self.ends: list[float] = []
        self.owners: dict[str, float] = {}
        self.changes = 0

    def revoked(self, token: Token) -> bool:
        return token.mark in self.marks or token.issued_at <= self.owners.get(token.owner, float("-inf"))

    async def revoke_token(self, token: Token, until: float) -> None:
        self.marks.add(token.mark)
        self.ends.append(until)

    async def revoke_subject(self, tenant: TenantId, subject: str, before: float, until: float) -> None:
        self.owners[owner(tenant, subject)] = before


def now() -> datetime:
    return datetime.now(UTC)


def built(tmp_path: Path, roll: Roll | None = None, **changes: Any) -> Identity:
    (tmp_path / "operator.key").write_text(OPERATORS + "\n")
    told = {"jwt_secret": SECRET, "api_keys": {"DEV": f"{KEY}:agent"}, "operator_key_file": tmp_path / "operator.key", **changes}
    return identity(Settings.model_validate(told), roll or Roll(), now)


def request(*headers: tuple[str, str]) -> Any:
    return make_mocked_request("GET", "/tasks", headers=CIMultiDict(headers))


def ours(sub: str = "ann") -> str:
    seconds = int(now().timestamp())
    return forged({"sub": sub, "role": "user", "iat": seconds, "exp": seconds + 80_000})


BEARER, XKEY = "Authorization", "X-API-Key"
SHOWN: dict[str, tuple[list[tuple[str, str]], Principal | str, Principal]] = {
    "nothing": ([], ANONYMOUS, ANONYMOUS),
    "a token": ([(BEARER, f"Bearer {ours()}")], ANN, ANN),
    "a token, the scheme in small letters": ([(BEARER, f"bearer {ours()}")], ANN, ANN),
    "an API key": ([(XKEY, KEY)], DEV, DEV),
    "the operator's key as API key": ([(XKEY, OPERATORS)], OPERATOR, OPERATOR),
    "the operator's key as bearer": ([(BEARER, f"Bearer {OPERATORS}")], OPERATOR, OPERATOR),
    "a token and an API key of another": ([(BEARER, f"Bearer {ours()}"), (XKEY, KEY)], ANN, ANN),
    "a token and an API key of nobody": ([(BEARER, f"Bearer {ours()}"), (XKEY, "nobody's")], ANN, ANN),
    "a bad token and a good API key": ([(BEARER, "Bearer a.b.c"), (XKEY, KEY)], "BAD_TOKEN", DEV),
    "a GitHub token": ([(BEARER, "Bearer ghp_0123456789abcdefghijklmnopqrstuvwxyz")], "BAD_TOKEN", ANONYMOUS),
    "a GitHub token and an API key": ([(BEARER, "Bearer ghp_0123456789"), (XKEY, KEY)], "BAD_TOKEN", DEV),
    "an API key as bearer": ([(BEARER, f"Bearer {KEY}")], "BAD_TOKEN", ANONYMOUS),
    "an API key of nobody": ([(XKEY, "nobody's-0123456789")], "BAD_API_KEY", ANONYMOUS),
    "an empty API key": ([(XKEY, "")], "BAD_API_KEY", ANONYMOUS),
    "an empty Authorization": ([(BEARER, "")], "BAD_TOKEN", ANONYMOUS),
    "a scheme alone": ([(BEARER, "Bearer")], "BAD_TOKEN", ANONYMOUS),
    "a scheme and a space": ([(BEARER, "Bearer ")], "BAD_TOKEN", ANONYMOUS),
    "a token without scheme": ([(BEARER, ours())], "BAD_TOKEN", ANONYMOUS),
    "two spaces": ([(BEARER, f"Bearer  {ours()}")], "BAD_TOKEN", ANONYMOUS),
    "two tokens in one header": ([(BEARER, f"Bearer {ours()}, Bearer {ours()}")], "BAD_TOKEN", ANONYMOUS),
    "a name and a password": ([(BEARER, "Basic YW5uOnNlY3JldA==")], "BAD_TOKEN", ANONYMOUS),
    "letters that are not ASCII": ([(BEARER, "Bearer é.é.é"), (XKEY, "é")], "BAD_TOKEN", ANONYMOUS),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHOWN)
def test_a_strict_surface_takes_what_is_ours_and_refuses_the_rest(kind: str, tmp_path: Path) -> None:
    shown, expected, _ = SHOWN[kind]
    credentials = built(tmp_path).credentials
    if isinstance(expected, Principal):
        assert credentials.identify(request(*shown), True) == expected
        return
    with pytest.raises(Unauthenticated) as refused:
        credentials.identify(request(*shown), True)
    assert refused.value.code == expected
    assert not [text for _, text in shown if len(text) > 8 and text in refused.value.message]


@pytest.mark.parametrize("kind", SHOWN)
def test_on_the_open_surface_what_is_not_ours_is_nothing(kind: str, tmp_path: Path) -> None:
    shown, _, expected = SHOWN[kind]
    assert built(tmp_path).credentials.identify(request(*shown), False) == expected


@given(st.text(max_size=300), st.sampled_from(["", "Bearer ", "bearer  ", "Basic "]))
def test_no_text_at_all_is_anybody(text: str, scheme: str) -> None:
    made = identity(Settings.model_validate({"jwt_secret": SECRET, "api_keys": {"DEV": f"{KEY}:agent"}}), Roll(), now).credentials
    for read, shown in ((made._bearer, scheme + text), (made._key, text)):
        with pytest.raises(Unauthenticated):
            read(shown)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", [BEARER, XKEY])
def test_two_credentials_of_a_kind_are_refused_even_if_they_are_the_same(name: str, strict: bool, tmp_path: Path) -> None:
    text = KEY if name == XKEY else f"Bearer {ours()}"
    with pytest.raises(Invalid) as refused:
        built(tmp_path).credentials.identify(request((name, text), (name.lower(), text)), strict)
    assert refused.value.code == "AMBIGUOUS_CREDENTIALS"


async def test_what_was_revoked_is_refused_from_the_next_request_on(tmp_path: Path) -> None:
    roll, text = Roll(), ours()
    made = built(tmp_path, roll)
    asked = request((BEARER, f"Bearer {text}"))
    assert made.credentials.identify(asked, True) == ANN
    await roll.revoke_token(made.desk.signer.verify(text), 0)
    with pytest.raises(Unauthenticated) as refused:
        made.credentials.identify(asked, True)
    assert refused.value.code == "TOKEN_REVOKED"
    with pytest.raises(Unauthenticated) as refused:
        made.credentials.identify(asked, False)
    assert refused.value.code == "TOKEN_REVOKED"


async def test_a_key_that_was_revoked_is_refused_however_it_is_shown_and_another_text_of_its_name_is_not(tmp_path: Path) -> None:
    roll = Roll()
    made, renewed = built(tmp_path, roll), built(tmp_path, roll, api_keys={"DEV": f"{KEY}-new:agent"})
    for text in (KEY, OPERATORS):
        found = made.credentials.key(text)
        assert found is not None
        await roll.revoke_token(found, found.expires_at)
    await roll.revoke_subject(HOME, "dev", now().timestamp(), 0)
    shown = [lambda strict=strict, pair=pair: made.credentials.identify(request(pair), strict) for strict in (True, False)
             for pair in ((XKEY, KEY), (XKEY, OPERATORS), (BEARER, f"Bearer {OPERATORS}"))]  # fmt: skip
    for show in (*shown, lambda: made.credentials.holder(KEY), lambda: made.credentials.proof(KEY)):
        with pytest.raises(Unauthenticated) as refused:
            show()
        assert refused.value.code == "TOKEN_REVOKED"
        assert KEY not in refused.value.message
    assert renewed.credentials.identify(request((XKEY, f"{KEY}-new")), True) == DEV


@pytest.mark.parametrize("more", [[], [(XKEY, KEY)]])
def test_what_was_ours_and_has_ended_makes_nobody_a_stranger_unawares(more: list[tuple[str, str]], tmp_path: Path) -> None:
    seconds = int(now().timestamp())
    ended = forged({"sub": "ann", "role": "user", "iat": seconds - 7200, "exp": seconds - 3600})
    for strict in (True, False):
        with pytest.raises(Unauthenticated) as refused:
            built(tmp_path).credentials.identify(request((BEARER, f"Bearer {ended}"), *more), strict)
        assert refused.value.code == "TOKEN_EXPIRED"


def test_an_ended_token_that_somebody_else_signed_is_nobodys(tmp_path: Path) -> None:
    seconds = int(now().timestamp())
    ended = forged(
        {"sub": "ann", "role": "user", "iat": seconds - 7200, "exp": seconds - 3600}, secret="another secret of thirty-two bytes"
    )
    assert built(tmp_path).credentials.identify(request((BEARER, f"Bearer {ended}")), False) == ANONYMOUS


def test_with_nothing_configured_nobody_is_anybody(tmp_path: Path) -> None:
    nobody = identity(Settings(), Roll(), now)
    assert not nobody.desk.signer.signs
    assert nobody.credentials.identify(request(), True) == ANONYMOUS
    for shown in ((BEARER, f"Bearer {ours()}"), (XKEY, KEY), (BEARER, f"Bearer {OPERATORS}"), (XKEY, "")):
        with pytest.raises(Unauthenticated):
            nobody.credentials.identify(request(shown), True)


def refused_at_start(environ: dict[str, str], flags: dict[str, str] | None = None) -> str:
    with pytest.raises(Invalid) as refused:
        load(Settings, flags or {}, environ)
    assert refused.value.code == "BAD_SETTING"
    return refused.value.message


def test_a_weak_secret_refuses_to_start_and_is_not_shown() -> None:
    said = refused_at_start({"ORCHESTRATOR_JWT_SECRET": "YOUR_SECRET"})
    assert "ORCHESTRATOR_JWT_SECRET (from environment): the secret that signs tokens has 11 bytes" in said
    assert "YOUR_SECRET" not in said
    assert "has 3 bytes" in refused_at_start({"ORCHESTRATOR_JWT_SECRET": SECRET, "ORCHESTRATOR_JWT_SECRET_PREVIOUS": "old"})


def test_a_weak_secret_in_a_file_refuses_to_start(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("YOUR_SECRET\n")
    with pytest.raises(Invalid, match="has 11 bytes") as refused:
        built(tmp_path, jwt_secret="", jwt_secret_file=tmp_path / "secret")
    assert refused.value.code == "WEAK_SECRET"


def test_a_previous_secret_alone_refuses_to_start() -> None:
    assert "set ORCHESTRATOR_JWT_SECRET too" in refused_at_start({"ORCHESTRATOR_JWT_SECRET_PREVIOUS": OTHER})


def test_a_short_api_key_refuses_to_start_unless_for_development() -> None:
    environ = {"ORCHESTRATOR_API_KEY_DEV": "short-key:agent"}
    said = refused_at_start(environ)
    assert "the API key DEV has 9 characters" in said
    assert "short-key" not in said
    assert load(Settings, {"dev": "on"}, environ).settings.dev


@pytest.mark.parametrize(
    "flags", [{"host": "0.0.0.0"}, {"host": "10.0.0.8"}, {"public_url": "https://agents.example"}, {"allowed_hosts": "a.example"}]
)
def test_development_works_on_loopback_only(flags: dict[str, str]) -> None:
    assert "loopback only" in refused_at_start({}, {"dev": "on", **flags})


def test_an_error_of_the_settings_never_shows_a_value() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({"jwt_secret": SECRET, "api_keys": {"DEV": f"{KEY}:nonsense"}})
    assert KEY not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_api_keys_come_from_every_variable_of_that_name_and_from_the_file() -> None:
    environ = {"ORCHESTRATOR_API_KEY_DEV": f"{KEY}:agent", "ORCHESTRATOR_API_KEY_EMPTY": ""}
    toml = {"api_keys": {"dev": f"{KEY}-of-the-file:user", "ops": f"{KEY}-ops:agent"}}
    loaded = load(Settings, {}, environ, toml)
    found = {name: key.get_secret_value() for name, key in loaded.settings.api_keys.items()}
    assert found == {"DEV": f"{KEY}:agent", "ops": f"{KEY}-ops:agent"}, "a variable stands before the file"
    shown = {row.name: (row.value, row.env) for row in rows(loaded)}["api_keys"]
    assert shown == ("ops=********, DEV=********", "ORCHESTRATOR_API_KEY_<NAME>")


def test_development_without_a_secret_makes_one_for_itself() -> None:
    one, two = (identity(Settings(dev=True), Roll(), now).desk for _ in range(2))
    assert one.open
    with pytest.raises(Unauthenticated):
        two.signer.verify(one.signer.mint(ANN, 60).text)


def test_a_secret_in_a_file_signs(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    made = built(tmp_path, jwt_secret="", jwt_secret_file=tmp_path / "secret")
    assert made.credentials.identify(request((BEARER, f"Bearer {ours()}")), True) == ANN


def test_a_secret_that_a_file_holds_is_struck_out_of_what_others_say(tmp_path: Path) -> None:
    signs, operates = "what-signs-is-in-a-file-of-32-bytes-or-more", "what-operates-is-in-a-file-of-32-bytes-too"
    (tmp_path / "jwt").write_text(f"{signs}\n")
    (tmp_path / "operator").write_text(operates)
    built(tmp_path, jwt_secret="", jwt_secret_file=tmp_path / "jwt", operator_key_file=tmp_path / "operator")
    assert struck.text(f"{signs} and {operates}") == "[redacted:jwt_secret] and [redacted:operator_key]"


@pytest.mark.parametrize("setting", ["jwt_secret_file", "jwks_file", "operator_key_file"])
def test_a_file_that_is_not_there_refuses_to_start(setting: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=setting) as refused:
        built(tmp_path, jwt_secret="", **{setting: tmp_path / "gone"})
    assert refused.value.code == "NO_KEY_FILE"


def test_an_operators_key_that_is_cut_short_refuses_to_start(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("x")
    with pytest.raises(Invalid, match="operator's key"):
        built(tmp_path, operator_key_file=tmp_path / "short")
