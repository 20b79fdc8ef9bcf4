"""The vault on a real nats-server: what goes in comes out for the same tenant, handle and key only; what is forgotten is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from trunkline.bus import Bus, BusSettings, connect, vault_key
from trunkline.bus.streams import DAY, VAULT
from trunkline.contracts import subjects
from trunkline.contracts.errors import Invalid, Unsupported
from trunkline.contracts.ids import TenantId
from trunkline.telemetry.redaction import spellings
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = pytest.mark.flow

KEY = vault_key("a key of thirty-two characters, or more")
OTHER = vault_key("another key of thirty-two characters, or more")
ACME, GLOBEX = TenantId("acme"), TenantId("globex")
TOKEN = "ghp_" + "a1B2" * 9


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


def on_disk(server: NatsServer) -> bytes:
    return b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())


async def bodies(bus: Bus) -> list[bytes]:
    found = await bus.client.jetstream().get_last_msg(VAULT, subjects.vault(ACME, "one"))
    return [found.data or b""]


async def test_a_secret_comes_out_as_it_went_in_and_lies_nowhere_in_plain(bus: Bus, server: NatsServer) -> None:
    vault = bus.vault(KEY)
    await vault.put(ACME, "one", TOKEN)
    assert await vault.get(ACME, "one") == TOKEN
    assert await bus.vault(KEY).get(ACME, "one") == TOKEN  # as another process sees it
    stored = on_disk(server)
    assert subjects.vault(ACME, "one").encode() in stored
    assert [spelling for spelling in spellings(TOKEN) if spelling.encode() in stored] == []
    assert KEY not in stored


async def test_another_tenant_another_handle_and_another_key_find_nothing(bus: Bus) -> None:
    await bus.vault(KEY).put(ACME, "one", TOKEN)
    assert await bus.vault(KEY).get(GLOBEX, "one") is None
    assert await bus.vault(KEY).get(ACME, "two") is None
    assert await bus.vault(OTHER).get(ACME, "one") is None


async def test_what_is_moved_to_another_place_does_not_open_there(bus: Bus) -> None:
    vault = bus.vault(KEY)
    await vault.put(ACME, "one", TOKEN)
    [sealed] = await bodies(bus)
    for tenant, handle in ((GLOBEX, "one"), (ACME, "two")):
        await bus.client.jetstream().publish(subjects.vault(tenant, handle), sealed)
        assert await vault.get(tenant, handle) is None
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for broken in (flipped, sealed[:20], b"", b"\x02" + sealed[1:]):
        await bus.client.jetstream().publish(subjects.vault(ACME, "one"), broken)
        assert await vault.get(ACME, "one") is None


async def test_the_same_secret_is_sealed_anew_each_time_and_the_newest_counts(bus: Bus) -> None:
    vault = bus.vault(KEY)
    await vault.put(ACME, "one", TOKEN)
    first = await bodies(bus)
    await vault.put(ACME, "one", TOKEN)
    assert first != await bodies(bus)
    await vault.put(ACME, "one", f"{TOKEN}x")
    assert await vault.get(ACME, "one") == f"{TOKEN}x"


async def test_what_is_forgotten_is_gone_from_the_disk_too_and_may_be_forgotten_again(bus: Bus, server: NatsServer) -> None:
    vault = bus.vault(KEY)
    await vault.put(ACME, "one", TOKEN)
    await vault.put(ACME, "two", TOKEN)
    [sealed] = await bodies(bus)
    assert sealed[1:] in on_disk(server)
    for _ in range(2):
        await bus.vault(b"").forget(ACME, "one")  # it needs no key
    assert await vault.get(ACME, "one") is None
    assert await vault.get(ACME, "two") == TOKEN
    assert sealed[1:] not in on_disk(server)


async def test_without_a_key_nothing_goes_in_or_out_and_that_is_said(bus: Bus) -> None:
    await bus.vault(KEY).put(ACME, "one", TOKEN)
    for wish in (bus.vault(b"").put(ACME, "two", TOKEN), bus.vault(b"").get(ACME, "one")):
        with pytest.raises(Unsupported, match="TRUNKLINE_VAULT_KEY") as refused:
            await wish
        assert refused.value.code == "NO_VAULT_KEY"


async def test_what_nobody_forgets_is_gone_after_eight_days(bus: Bus) -> None:
    config = (await bus.client.jetstream().stream_info(VAULT)).config
    assert (config.max_age, config.max_msgs_per_subject) == (8 * DAY, 1)


def test_a_key_is_read_from_text_or_file_and_a_weak_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"
    file.write_text("a key of thirty-two characters, or more\n")
    assert vault_key("", file) == KEY != vault_key("another key of thirty-two characters, or more", file)
    assert vault_key("") == b""
    for text, path in (("short", None), ("", tmp_path / "none"), ("", tmp_path)):
        with pytest.raises(Invalid):
            vault_key(text, path)
    file.write_text("\n")
    with pytest.raises(Invalid, match="empty"):
        vault_key("", file)
