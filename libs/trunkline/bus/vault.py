"""Secrets of callers, kept at nats-server for some days: sealed with a key that it never sees, each for one tenant and one handle."""

from __future__ import annotations

import base64
import os
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from trunkline.bus.answers import Answers
from trunkline.bus.deleting import delete
from trunkline.bus.patience import patiently
from trunkline.bus.publish import publish
from trunkline.bus.streams import VAULT
from trunkline.contracts import subjects
from trunkline.contracts.errors import Invalid, Unsupported
from trunkline.contracts.ids import TenantId

log = structlog.get_logger()

SHORTEST_KEY: Final = 32
LARGEST_FILE: Final = 1 << 16
_VERSION: Final = b"\x01"
_NONCE: Final = 12
NO_KEY: Final = (
    "This installation keeps no tokens of callers, for it has no key to seal them with: set the same TRUNKLINE_VAULT_KEY, or "
    "TRUNKLINE_VAULT_KEY_FILE, for the gateway and the sandbox service, or leave the token out."
)
NO_KEY_FOR_WEBHOOKS: Final = (
    "This installation keeps no webhooks, for it has no key to seal their secrets with: set the same TRUNKLINE_VAULT_KEY, or "
    "TRUNKLINE_VAULT_KEY_FILE, for all relays."
)


class Vault:
    """Every secret of the installation. Without a key nothing goes in or out, and only forgetting works."""

    def __init__(self, answers: Answers, js: JetStreamContext, key: bytes, *, replicated: bool) -> None:
        """`key` is 32 bytes, or none."""
        self._answers = answers
        self._js = js
        self._cipher = AESGCM(key) if key else None
        self._replicated = replicated

    async def put(self, tenant: TenantId, handle: str, secret: str) -> None:
        """Returns when it is on disk, in place of what lay there. Raises Unsupported NO_VAULT_KEY, BusAway."""
        nonce = os.urandom(_NONCE)
        sealed = self._key.encrypt(nonce, secret.encode(), _bound(tenant, handle))
        await publish(self._answers, subjects.vault(tenant, handle), _VERSION + nonce + sealed, id=uuid4().hex)

    async def get(self, tenant: TenantId, handle: str) -> str | None:
        """None for what is not there, not any more, or was sealed otherwise. Raises Unsupported NO_VAULT_KEY, BusAway."""
        cipher, found = self._key, await self._find(tenant, handle)
        body = (found.data or b"") if found else b""
        if not body.startswith(_VERSION):
            return None
        try:
            return cipher.decrypt(body[1 : 1 + _NONCE], body[1 + _NONCE :], _bound(tenant, handle)).decode()
        except InvalidTag:
            log.error("vault.sealed_otherwise", tenant=tenant, handle=handle, why="another key, or moved from another place")
            return None

    async def forget(self, tenant: TenantId, handle: str) -> None:
        """Overwritten at nats-server too. What is not there is as good. Raises BusAway."""
        found = await self._find(tenant, handle)
        if found is None or found.seq is None:
            return
        seq = found.seq
        await delete(self._js, VAULT, seq)

    async def _find(self, tenant: TenantId, handle: str) -> RawStreamMsg | None:
        subject = subjects.vault(tenant, handle)
        try:
            return await patiently(lambda: self._js.get_last_msg(VAULT, subject, direct=not self._replicated))
        except NotFoundError:
            return None

    @property
    def _key(self) -> AESGCM:
        if self._cipher is None:
            raise Unsupported(NO_KEY, code="NO_VAULT_KEY")
        return self._cipher


class Sealing:
    """Seals what is kept elsewhere with the key of the vault, each text for one place."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 bytes, or none."""
        self._cipher = AESGCM(key) if key else None

    def seal(self, place: str, text: str) -> str:
        """Base64. Raises Unsupported NO_VAULT_KEY."""
        if self._cipher is None:
            raise Unsupported(NO_KEY_FOR_WEBHOOKS, code="NO_VAULT_KEY")
        nonce = os.urandom(_NONCE)
        return base64.b64encode(_VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())).decode()

    def opened(self, place: str, sealed: str) -> str | None:
        """None for what was sealed with another key or for another place, or when there is no key."""
        body = base64.b64decode(sealed)
        if self._cipher is None or not body.startswith(_VERSION):
            return None
        try:
            return self._cipher.decrypt(body[1 : 1 + _NONCE], body[1 + _NONCE :], place.encode()).decode()
        except InvalidTag:
            return None


class Pieces:
    """Seals a file piece by piece with a key of its own: none can be changed, moved, left out or cut off without being noticed."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        """`key` is 32 bytes, `salt` 16 that no other file has."""
        self._cipher = AESGCM(sha256(b"trunkline backup 1\0" + salt + key).digest())
        self._number = 0

    def seal(self, piece: bytes, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last), piece, None)

    def opened(self, sealed: bytes, *, last: bool) -> bytes | None:
        """None for what is not the next piece as it was sealed."""
        try:
            return self._cipher.decrypt(self._nonce(last), sealed, None)
        except InvalidTag:
            return None

    def _nonce(self, last: bool) -> bytes:
        self._number += 1
        return self._number.to_bytes(_NONCE - 1, "big") + bytes([last])


def vault_key(text: str, file: Path | None = None) -> bytes:
    """The key as AES takes it, of the text or else of what is in the file; no bytes where there is neither. Raises Invalid."""
    if not text and file:
        text = _read(file).strip()
        if not text:
            raise Invalid(f"the file {file} of the setting vault_key_file is empty; put a key into it", code="NO_KEY_FILE")
    if not text:
        return b""
    if len(text) < SHORTEST_KEY:
        message = f"the key of the vault has fewer than {SHORTEST_KEY} characters and can be guessed. Make one with `openssl rand -hex 32`"
        raise Invalid(message, code="WEAK_SECRET")
    return sha256(b"trunkline vault 1\0" + text.encode("utf-8", "surrogateescape")).digest()


def _read(path: Path) -> str:
    try:
        with path.expanduser().open(encoding="utf-8") as file:
            return file.read(LARGEST_FILE)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise Invalid(f"the file {path} of the setting vault_key_file cannot be read ({why})", code="NO_KEY_FILE") from None


def _bound(tenant: str, handle: str) -> bytes:
    """What is authenticated beside the secret, so that none is of use in another place."""
    return f"{tenant}/{handle}".encode()
