"""A checkpoint: how far the chain is, signed, each naming the one before it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from trunkline.auth.audit_keys import AuditKey, Witness
from trunkline.contracts.errors import Broken

NONE: Final = "0" * 64
"""Stands for the checkpoint before the first."""
ACCEPTED: Final = "accepted-"
"""Begins the name of a folder of books that somebody put aside."""
ASIDE: Final = "copy.jsonl"
"""In such a folder, what the copy of the checkpoints held then."""

Head = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Checkpoint(BaseModel):
    """What was chained up to `seq`. One line of the book; whoever leaves one out, or turns two round, breaks the next."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # the signature is under all that stands there, also what newer versions add

    version: int = 1
    epoch: str
    """The life of the log."""
    at: AwareDatetime
    first: int = Field(ge=1)
    """The sequence of the first record that this book knows."""
    seq: int = Field(ge=0)
    """The last record that is counted in."""
    happened: AwareDatetime
    """When that record was written, as it says itself."""
    links: int = Field(ge=0)
    """How many records were chained since the book was begun."""
    heads: dict[str, Head]
    """The new head (hex) of each tenant to whom something happened since the checkpoint before."""
    previous: str
    """SHA-256 (hex) of the checkpoint before, as its line was written."""
    key: str
    relay: str = ""
    """Which witness it is of: a copy may hold those of several."""
    kept_s: float = Field(0, ge=0, le=1e10, allow_inf_nan=False)
    """For how long the log kept its records then; 0: nobody said."""
    signature: str = ""


def signed(checkpoint: Checkpoint, key: AuditKey) -> bytes:
    """The line as it is written, without its end."""
    plain = checkpoint.model_copy(update={"key": key.name, "signature": ""}).model_dump(mode="json")
    return _canonical({**plain, "signature": b64encode(key.sign(_canonical(plain))).decode()})


def read(line: bytes) -> Checkpoint:
    """What a line says, whoever wrote it. Raises Broken (BOOK_DAMAGED)."""
    try:
        return Checkpoint.model_validate_json(line)
    except ValidationError:
        raise Broken("it cannot be read", code="BOOK_DAMAGED") from None


def prove(line: bytes, witness: Witness) -> None:
    """Raises Broken (BOOK_DAMAGED) for a line that was not signed by `witness`."""
    try:
        found = json.loads(line)
        signature = b64decode(found["signature"], validate=True)
        proven = _canonical(found) == line and b64encode(signature).decode() == found["signature"]  # no bit of it stands for nothing
        proven = proven and witness.signed(_canonical({**found, "signature": ""}), signature)
    except (ValueError, TypeError, KeyError):
        proven = False
    if not proven:
        raise Broken(f"it was not signed by the key {witness.name}", code="BOOK_DAMAGED")


def overlong(line: bytes) -> bool:
    """Whether a line without an end is whole, with something else behind it: it was finished once, and its end was changed."""
    try:
        _, end = json.JSONDecoder().raw_decode(text := line.decode("utf-8", "replace"))
    except ValueError:
        return False
    return bool(text[end:].strip("\0"))  # a file system may leave zeros behind after a crash


def name_of(line: bytes) -> str:
    """By which the next one names it."""
    return sha256(line).hexdigest()


def _canonical(said: dict[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
