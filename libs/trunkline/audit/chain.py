"""The chain: each record of the log has a digest, and each tenant's digests are linked into one head."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

GENESIS: Final = bytes(32)
"""The head of a tenant of whom nothing was chained yet."""
SHORT: Final = 8
"""Bytes of a digest that the book keeps for each record: enough to say which one was changed; that one was, the head proves."""


def digest(seq: int, subject: str, body: bytes) -> bytes:
    """SHA-256 of a record and its place: the sequence as 8 bytes, the subject, a line feed, the body."""
    return sha256(b"%b%b\n%b" % (seq.to_bytes(8, "big"), subject.encode(), body)).digest()


def linked(head: bytes, digest: bytes) -> bytes:
    """The head after one more record."""
    return sha256(head + digest).digest()


def tenant_of(subject: str) -> str:
    """Whose chain a record belongs to: the second name of its subject."""
    return subject.split(".", 2)[1] if "." in subject else "-"
