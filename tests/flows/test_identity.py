"""Identity on a real nats-server and at the command line: what one gateway revokes all refuse; tokens of both samples; keys on disk."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from nats.aio.client import Client

from tests.unit.auth.forge import OTHER, SECRET, forged
from tests.unit.gateway.test_credentials import BEARER, XKEY, request
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role, Tier
from trunkline.auth.tokens import Secrets, Tokens
from trunkline.bus import Bus, BusSettings, connect
from trunkline.bus.streams import REVOKED
from trunkline.contracts.errors import DomainError, Unauthenticated
from trunkline.contracts.ids import TenantId
from trunkline.runtime.clock import now
from trunkline.runtime.settings import load
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_cli.__main__ import main
from trunkline_cli.operator import credential, headers, key_files, on_this_machine
from trunkline_cli.sources import Sources
from trunkline_gateway.adapters.credentials import Identity, identity
from trunkline_gateway.dialect import status_of
from trunkline_gateway.settings import Settings
from trunkline_gateway.usecases.desk import Proof, Revocation, TokenWish

pytestmark = pytest.mark.flow

ADMIN = Principal(HOME, "root", Role.ADMIN)
AT_ONCE = 20.0
"""Seconds, for a busy machine too; a calm one needs some thousandths."""
NODE = shutil.which("node")


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def one(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "gateway-1") as bus:
        await bus.roll.start()
        yield bus


@pytest.fixture
async def two(server: NatsServer, one: Bus) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "gateway-2") as bus:
        await bus.roll.start()
        yield bus


def gateway(bus: Bus) -> Identity:
    return identity(Settings.model_validate({"jwt_secret": SECRET}), bus.roll, now)


def takes(at: Identity, token: str) -> bool:
    try:
        return at.credentials.identify(request((BEARER, f"Bearer {token}")), True) is not ANONYMOUS
    except Unauthenticated as refused:
        assert refused.code == "TOKEN_REVOKED"
        return False


async def minted(at: Identity, subject: str, tenant: str = "public") -> str:
    return (await at.desk.mint(ANONYMOUS, Proof(SECRET), TokenWish(subject, "agent", tenant))).token


async def until_refused(at: Identity, token: str, within: float = AT_ONCE) -> float:
    began = time.monotonic()
    async with asyncio.timeout(within):
        while takes(at, token):  # noqa: ASYNC110  # nobody says when another gateway has heard
            await asyncio.sleep(0.002)
    return time.monotonic() - began


async def test_a_token_that_one_gateway_revokes_every_gateway_refuses_at_once(one: Bus, two: Bus) -> None:
    here, there = gateway(one), gateway(two)
    token, sibling = await minted(here, "bob"), await minted(here, "bob")
    assert takes(there, token)
    await here.desk.revoke(ADMIN, Revocation(token=token))
    assert not takes(here, token)
    took = await until_refused(there, token)
    print(f"the other gateway refused after {took * 1000:.1f} ms")
    assert takes(there, sibling), "another token of the same subject counts on"


async def test_all_tokens_of_a_subject_are_revoked_and_what_is_minted_later_counts(one: Bus, two: Bus) -> None:
    here, there = gateway(one), gateway(two)
    old = [await minted(here, "bob") for _ in range(3)]
    others = [await minted(here, "carl"), await minted(here, "bob", "acme")]
    await here.desk.revoke(ADMIN, Revocation(subject="bob"))
    for token in old:
        await until_refused(there, token)
    await asyncio.sleep(0.002)
    new = await minted(there, "bob")
    assert [takes(at, token) for at in (here, there) for token in (*others, new)] == [True] * 6


async def test_a_gateway_that_starts_later_knows_what_was_revoked_before(one: Bus, server: NatsServer) -> None:
    here = gateway(one)
    tokens = [await minted(here, f"s{number}") for number in range(300)]
    await asyncio.gather(*(here.desk.revoke(ADMIN, Revocation(token=token)) for token in tokens[:-1]))
    async with connect(BusSettings(nats_url=server.url), "late") as late:
        await late.roll.start()
        there = gateway(late)
        assert [takes(there, token) for token in tokens] == [False] * 299 + [True]


async def test_what_was_revoked_while_a_gateway_was_cut_off_it_knows_soon_after(one: Bus, two: Bus, server: NatsServer) -> None:
    """The server comes back, a third gateway revokes, and only then do the first two find their way back."""
    here, there = gateway(one), gateway(two)
    for bus in (one, two):
        bus.client.options["reconnect_time_wait"] = 3.0
    before, during, later = [await minted(here, name) for name in ("a", "b", "c")]
    await here.desk.revoke(ADMIN, Revocation(token=before))
    await until_refused(there, before)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    async with connect(BusSettings(nats_url=server.url), "third") as third:
        await gateway(third).desk.revoke(ADMIN, Revocation(token=during))
        assert not one.connected
        assert not two.connected
    for at in (here, there):
        assert not takes(at, before), "what was known is not forgotten while the bus is away"
        await until_refused(at, during, 10)
    await here.desk.revoke(ADMIN, Revocation(token=later))
    await until_refused(there, later)


async def test_a_revocation_that_nobody_announced_is_found(one: Bus, two: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message of the live subject may be lost: whoever looks at the stream sees that it is ahead."""
    here, there = gateway(one), gateway(two)
    token = await minted(here, "bob")

    async def deaf(_: Any) -> None:
        """The message was lost on its way."""

    for subscription in two.client._subs.values():
        if subscription.subject.endswith("revoked.>"):
            subscription._cb = deaf
    await here.desk.revoke(ADMIN, Revocation(token=token))
    assert await until_refused(there, token) < AT_ONCE


async def test_a_revocation_lies_in_the_stream_until_what_it_revokes_is_over_and_not_longer(one: Bus, server: NatsServer) -> None:
    tokens = Tokens(Secrets(SECRET.encode()))
    token = tokens.verify(tokens.mint(Principal(HOME, "bob", Role.USER), 60).text)
    await one.roll.revoke_token(token, time.time() + 1)
    await one.roll.revoke_subject(HOME, "carl", time.time(), time.time() + 1)
    assert len(one.roll) == 2
    reader = Client()
    await reader.connect(server.url)
    js = reader.jetstream()
    assert (await js.stream_info(REVOKED)).state.messages == 2
    async with asyncio.timeout(10):
        while (await js.stream_info(REVOKED)).state.messages or len(one.roll):  # noqa: ASYNC110  # nor when the server forgets
            await asyncio.sleep(0.1)
    await reader.close()


async def test_revoking_twice_keeps_one_entry(one: Bus, two: Bus) -> None:
    here = gateway(one)
    token = await minted(here, "bob")
    for _ in range(3):
        await here.desk.revoke(ADMIN, Revocation(token=token))
        await here.desk.revoke(ADMIN, Revocation(subject="bob"))
    assert len(one.roll) == 2
    await until_refused(gateway(two), token)
    assert not takes(here, token)


async def test_a_revoked_key_counts_never_again_and_another_text_of_its_name_does(one: Bus, two: Bus, server: NatsServer) -> None:
    here, there = with_key(one), with_key(two)
    assert [key_taken(at, DEV_KEY) for at in (here, there)] == ["dev", "dev"]
    await here.desk.revoke(ADMIN, Revocation(token=DEV_KEY))
    async with asyncio.timeout(AT_ONCE):
        while key_taken(there, DEV_KEY) != "TOKEN_REVOKED":  # noqa: ASYNC110  # nobody says when another gateway has heard
            await asyncio.sleep(0.002)
    stored = await one.client.jetstream().get_last_msg(REVOKED, "revoked.token.*")
    assert (stored.headers or {})["Nats-TTL"] == "never"
    assert DEV_KEY not in f"{stored.subject}{stored.data!r}{stored.headers}"
    async with connect(BusSettings(nats_url=server.url), "late") as late:
        with patch.object(late.roll, "_now", lambda: time.time() + 1e10):
            await late.roll.start()
            late.roll._forget()
        assert key_taken(with_key(late), DEV_KEY) == "TOKEN_REVOKED"
        assert key_taken(with_key(late, f"{DEV_KEY}-new"), DEV_KEY) == "BAD_API_KEY"
        assert key_taken(with_key(late, f"{DEV_KEY}-new"), f"{DEV_KEY}-new") == "dev"
        await with_key(late, f"{DEV_KEY}-new").desk.revoke(ADMIN, Revocation(subject="dev"))
        assert key_taken(with_key(late, f"{DEV_KEY}-new"), f"{DEV_KEY}-new") == "TOKEN_REVOKED"
        assert key_taken(with_key(late, f"{DEV_KEY}-newer"), f"{DEV_KEY}-newer") == "dev"


DEV_KEY = "k-0123456789abcdef"


def with_key(bus: Bus, key: str = DEV_KEY) -> Identity:
    return identity(Settings.model_validate({"jwt_secret": SECRET, "api_keys": {"DEV": f"{key}:agent"}}), bus.roll, now, seal=bus.seal)


def key_taken(at: Identity, key: str) -> str:
    """Whose it is, or the code of the refusal."""
    try:
        return at.credentials.identify(request((XKEY, key)), True).subject
    except Unauthenticated as refused:
        return refused.code


SMUGGLED = {
    "nothing shown": (b"", "200 anonymous"),
    "a good key": (b"X-API-Key: %(key)s\r\n", "200 dev"),
    "a good token": (b"Authorization: Bearer %(token)s\r\n", "200 bob"),
    "two keys": (b"X-API-Key: %(key)s\r\nX-API-Key: %(key)s\r\n", "400"),
    "two keys in other letters": (b"X-API-Key: nobody\r\nx-api-KEY: %(key)s\r\n", "400"),
    "two tokens": (b"Authorization: Bearer %(token)s\r\nAuthorization: Bearer %(token)s\r\n", "400"),
    "a bad token beside a good key": (b"Authorization: Bearer a.b.c\r\nX-API-Key: %(key)s\r\n", "401"),
    "a key with bytes that are no text": (b"X-API-Key: %(key)s\xff\xfe\r\n", "401"),
    "a token with bytes that are no text": (b"Authorization: Bearer %(token)s\xff\r\n", "401"),
    "a key over two lines": (b"X-API-Key: nobody\r\n %(key)s\r\n", "40"),
    "a space before the colon": (b"X-API-Key : %(key)s\r\n", "400"),
    "an underscore for a dash": (b"X_API_Key: %(key)s\r\n", "200 anonymous"),
    "a NUL in the key": (b"X-API-Key: %(key)s\x00\r\n", "40"),
    "a line feed alone between two headers": (b"X-Any: 1\nX-API-Key: %(key)s\r\n", "400"),
}


@pytest.mark.parametrize("kind", SMUGGLED)
async def test_what_is_smuggled_in_by_headers_is_nobody(kind: str, one: Bus) -> None:
    made = identity(Settings.model_validate({"jwt_secret": SECRET, "api_keys": {"DEV": "k-0123456789abcdef:agent"}}), one.roll, now)

    async def answer(request: web.Request) -> web.Response:
        try:
            return web.Response(text=made.credentials.identify(request, True).subject)
        except DomainError as refused:
            return web.Response(status=status_of(refused))

    site = web.Application()
    site.router.add_get("/", answer)
    head, expected = SMUGGLED[kind]
    shown = {b"key": b"k-0123456789abcdef", b"token": (await minted(made, "bob")).encode()}
    async with TestServer(site) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n" + head % shown + b"\r\n")
        async with asyncio.timeout(5):
            told = (await reader.read()).decode()
        writer.close()
    status, body = told.split(" ", 2)[1], told.partition("\r\n\r\n")[2]
    assert f"{status} {body}".startswith(expected), told


@pytest.mark.skipif(NODE is None, reason="there is no Node here")
def test_a_token_that_node_signs_as_the_sample_does_is_taken() -> None:
    sign = """
      const crypto = require('crypto'), part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
      const now = Math.floor(Date.now() / 1000), payload = { sub: 'dev-agent-1', role: 'agent', exp: now + 24 * 60 * 60, iat: now }
      const signed = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part(payload)
      console.log(signed + '.' + crypto.createHmac('sha256', process.env.SECRET).update(signed).digest('base64url'))
    """
    made = subprocess.run([str(NODE), "-e", sign], env={**os.environ, "SECRET": SECRET}, capture_output=True, text=True, check=True)
    principal = Tokens(Secrets(SECRET.encode())).verify(made.stdout.strip()).principal
    assert principal == Principal(HOME, "dev-agent-1", Role.AGENT, Tier.AUTHENTICATED)


def trunkline(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "ORCHESTRATOR_"))}
    argv = [sys.executable, "-m", "trunkline_cli", *words]
    return subprocess.run(argv, env={**kept, **environ}, cwd=folder, capture_output=True, text=True, timeout=60)


def typed(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, as most of a command's time is its start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "ORCHESTRATOR_"))}
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, {**kept, **environ}, clear=True), chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = main(list(words))
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def test_the_command_prints_a_token_alone_that_the_gateway_takes(tmp_path: Path) -> None:
    made = trunkline(
        tmp_path, "token", "--subject", "ci", "--role", "approver", "--tenant", "acme", "--hours", "1", ORCHESTRATOR_JWT_SECRET=SECRET
    )
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    token = Tokens(Secrets(SECRET.encode())).verify(made.stdout.removesuffix("\n"))
    assert token.principal == Principal(TenantId("acme"), "ci", Role.APPROVER)
    assert 3590 < token.expires_at - time.time() <= 3600


def test_the_command_prints_json_for_programs(tmp_path: Path) -> None:
    made = typed(tmp_path, "token", "--subject", "ci", "--role", "user", "--json", ORCHESTRATOR_JWT_SECRET=SECRET)
    told = json.loads(made.stdout)
    assert {name: told[name] for name in ("subject", "role", "tenant")} == {"subject": "ci", "role": "user", "tenant": "public"}
    assert Tokens(Secrets(SECRET.encode())).verify(told["token"])


def test_the_command_takes_the_secret_that_development_keeps(tmp_path: Path) -> None:
    (tmp_path / "dev.jwt").write_text(OTHER)
    made = typed(tmp_path, "token", "--subject", "ci", "--role", "user", "--data-dir", str(tmp_path))
    assert Tokens(Secrets(OTHER.encode())).verify(made.stdout.strip())


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        ((), {}, "Set ORCHESTRATOR_JWT_SECRET"),
        ((), {"ORCHESTRATOR_JWT_SECRET": "YOUR_SECRET"}, "has 11 bytes"),
        (("--hours", "25"), {"ORCHESTRATOR_JWT_SECRET": SECRET}, "lives 1 to 86400 seconds"),
        (("--hours", "nan"), {"ORCHESTRATOR_JWT_SECRET": SECRET}, "lives 1 to 86400 seconds"),
        (("--tenant", "a.b"), {"ORCHESTRATOR_JWT_SECRET": SECRET}, "a tenant is"),
        (("--subject", " "), {"ORCHESTRATOR_JWT_SECRET": SECRET}, "a subject is"),
    ],
)
def test_the_command_says_why_it_mints_nothing(words: tuple[str, ...], environ: dict[str, str], said: str, tmp_path: Path) -> None:
    made = typed(tmp_path, "token", "--subject", "ci", "--role", "user", "--data-dir", str(tmp_path), *words, **environ)
    assert (made.returncode, made.stdout) == (2, "")
    assert said in " ".join(made.stderr.split())
    assert "Traceback" not in made.stderr
    assert not any(secret in made.stderr for secret in (SECRET, "YOUR_SECRET"))


def test_the_keys_of_an_installation_are_made_once_for_its_owner_only(tmp_path: Path) -> None:
    said = Sources({"dev": "on"}, {})
    made = key_files(said, tmp_path)
    names = {"operator_key_file": "operator.key", "vault_key_file": "vault.key", "jwt_secret_file": "dev.jwt"}
    assert made == {name: str(tmp_path / file) for name, file in names.items()}
    kept = {name: Path(path).read_text() for name, path in made.items()}
    assert all(len(key) >= 43 for key in kept.values())
    assert len(set(kept.values())) == 3
    assert [stat.S_IMODE(Path(path).stat().st_mode) for path in made.values()] == [0o600] * 3
    assert {name: Path(path).read_text() for name, path in key_files(said, tmp_path).items()} == kept


@pytest.mark.parametrize("spoiled", ["readable by others", "cut short", "no text"])
def test_a_key_that_is_spoiled_is_made_anew(spoiled: str, tmp_path: Path) -> None:
    path = Path(key_files(Sources({}, {}), tmp_path)["operator_key_file"])
    before = path.read_bytes()
    if spoiled == "readable by others":
        path.chmod(0o644)
    else:
        path.write_bytes(before[:9] if spoiled == "cut short" else b"\xff" * 43)
    key_files(Sources({}, {}), tmp_path)
    assert path.read_bytes() != before
    assert (stat.S_IMODE(path.stat().st_mode), len(path.read_text())) == (0o600, 43)


def test_a_key_that_somebody_named_is_not_made(tmp_path: Path) -> None:
    own = {"TRUNKLINE_OPERATOR_KEY_FILE": "/run/secrets/operator", "ORCHESTRATOR_JWT_SECRET": SECRET, "TRUNKLINE_DEV": "on"}
    sealed = {"TRUNKLINE_VAULT_KEY": "a key of thirty-two characters, or more"}, {"TRUNKLINE_VAULT_KEY_FILE": "/run/secrets/vault"}
    assert [key_files(Sources({}, {**own, **key}), tmp_path) for key in sealed] == [{}, {}]
    assert list(tmp_path.iterdir()) == []
    assert key_files(Sources({}, {}), tmp_path).keys() == {"operator_key_file", "vault_key_file"}


def test_the_secrets_reach_the_gateway_and_no_other_service() -> None:
    environ = {
        "ORCHESTRATOR_JWT_SECRET": SECRET,
        "ORCHESTRATOR_JWT_SECRET_PREVIOUS": OTHER,
        "ORCHESTRATOR_API_KEY_DEV": "k-0123456789abcdef:agent",
    }
    said = Sources({"operator_key_file": "/d/operator.key"}, {**environ, "TRUNKLINE_TOKEN": "t"})
    assert said.environment("gateway") == {**environ, "TRUNKLINE_OPERATOR_KEY_FILE": "/d/operator.key"}
    for service in ("router", "approvals", "sandbox", "relay"):
        assert said.environment(service) == {}
    assert load(Settings, {}, said.environment("gateway")).settings.api_keys.keys() == {"DEV"}


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("http://127.0.0.1:8787", True),
        ("http://localhost:8787", True),
        ("http://[::1]:8787", True),
        ("http://127.8.9.1", True),
        ("http://agents.example", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.1@evil.example", False),
        ("http://0.0.0.0:8787", False),
        ("nonsense", False),
    ],
)
def test_the_operators_key_goes_to_this_machine_only(url: str, ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUNKLINE_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "operator.key").write_text("the-operators-key")
    args = _args(tmp_path)
    assert on_this_machine(url) is ours
    assert credential(args, url) == ({"X-API-Key": "the-operators-key"} if ours else {})


def test_a_credential_that_was_named_stands_before_the_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "operator.key").write_text("the-operators-key")
    (tmp_path / "mine").write_text("a.b.c\n")
    monkeypatch.setenv("TRUNKLINE_TOKEN", "x.y.z")
    assert credential(_args(tmp_path), "http://127.0.0.1:1") == {"Authorization": "Bearer x.y.z"}
    assert credential(_args(tmp_path, token_file=str(tmp_path / "mine")), "http://127.0.0.1:1") == {"Authorization": "Bearer a.b.c"}


def test_a_key_is_shown_as_key_and_a_token_as_bearer() -> None:
    assert headers("k") == {"X-API-Key": "k"}
    assert headers(forged({})).keys() == {"Authorization"}


def _args(root: Path, **more: str) -> argparse.Namespace:
    return argparse.Namespace(data_dir=str(root), **more)
