"""The key that signs checkpoints of the chain, and the half of it by which anybody can tell that it did."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from trunkline.contracts.errors import Invalid


@dataclass(frozen=True, slots=True)
class Witness:
    """The public half."""

    name: str
    """`ed25519:` and the first 16 hex digits of the key's SHA-256."""
    _key: Ed25519PublicKey = field(repr=False)

    def signed(self, said: bytes, signature: bytes) -> bool:
        """Whether `signature` is that of this key under `said`."""
        try:
            self._key.verify(signature, said)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """As a file that others may have."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class AuditKey:
    """The private half (Ed25519)."""

    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def name(self) -> str:
        return self.witness.name

    @property
    def witness(self) -> Witness:
        return _witness(self._key.public_key())

    def sign(self, said: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(said)


def audit_key(path: Path) -> AuditKey:
    """The key in a PEM file; made there, for its owner's eyes only, when there is none. Raises Invalid (BAD_AUDIT_KEY), OSError."""
    if not path.exists():
        _made(path)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(f"{path} holds no Ed25519 private key (PEM, without a password)", code="BAD_AUDIT_KEY")
    return AuditKey(key)


def witness_in(path: Path) -> Witness:
    """The public key in a PEM file. Raises Invalid (BAD_AUDIT_KEY), OSError."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid(f"{path} holds no Ed25519 public key (PEM)", code="BAD_AUDIT_KEY")
    return _witness(key)


def _witness(key: Ed25519PublicKey) -> Witness:
    return Witness(f"ed25519:{sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]}", key)


def _made(path: Path) -> None:
    """All of it or nothing; of two that make it at once, one is kept."""
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(text)
        os.fsync(file.fileno())
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
