"""A checkpoint: how far the chain is, signed, each naming the one before it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import datetime
from hashlib import sha256
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trunkline.auth.audit_keys import AuditKey, Witness
from trunkline.contracts.errors import Broken

NONE: Final = "0" * 64
"""Stands for the checkpoint before the first."""


class Checkpoint(BaseModel):
    """What was chained up to `seq`. One line of the book; whoever leaves one out, or turns two round, breaks the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    epoch: str
    """The life of the log."""
    at: datetime
    first: int = Field(ge=1)
    """The sequence of the first record that this book knows."""
    seq: int = Field(ge=0)
    """The last record that is counted in."""
    happened: datetime
    """When that record was written, as it says itself."""
    links: int = Field(ge=0)
    """How many records were chained since the book was begun."""
    heads: dict[str, str]
    """The new head (hex) of each tenant to whom something happened since the checkpoint before."""
    previous: str
    """SHA-256 (hex) of the checkpoint before, as its line was written."""
    key: str
    signature: str = ""


def signed(checkpoint: Checkpoint, key: AuditKey) -> bytes:
    """The line as it is written, without its end."""
    plain = checkpoint.model_copy(update={"key": key.name, "signature": ""})
    return _canonical(plain.model_copy(update={"signature": b64encode(key.sign(_canonical(plain))).decode()}))


def read(line: bytes, previous: str, witness: Witness) -> Checkpoint:
    """A line that was signed by `witness` and follows `previous`. Raises Broken (BOOK_DAMAGED), which says what is wrong with it."""
    try:
        checkpoint = Checkpoint.model_validate_json(line)
        signature = b64decode(checkpoint.signature, validate=True)
    except (ValidationError, ValueError):
        raise Broken("it cannot be read", code="BOOK_DAMAGED") from None
    if checkpoint.previous != previous:
        raise Broken("it does not follow the one before it: lines were taken away, changed or turned round", code="BOOK_DAMAGED")
    if not witness.signed(_canonical(checkpoint.model_copy(update={"signature": ""})), signature):
        raise Broken(f"it was not signed by the key {witness.name}", code="BOOK_DAMAGED")
    return checkpoint


def name_of(line: bytes) -> str:
    """By which the next one names it."""
    return sha256(line).hexdigest()


def _canonical(checkpoint: Checkpoint) -> bytes:
    return json.dumps(checkpoint.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()
