"""Records of the log as text, to be read anywhere and to go into another log: one JSON document a line.

The first line says what it is an archive of, the last how many records it holds; each line between is one record. Every line but the
first ends with the first digits of a hash over the line and that of the line before: what is damaged, lost or moved is found, and where.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from trunkline.contracts.errors import Invalid

KIND: Final = "trunkline-records"
VERSION: Final = 1
LONGEST_LINE: Final = 8 << 20
_DIGITS: Final = 16
DAMAGED: Final = "ARCHIVE_DAMAGED"


class Heading(BaseModel):
    """The first line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    archive: str = KIND
    version: int = VERSION
    epoch: str
    """The life of the log that it was read from."""
    first: int
    last: int
    """The sequences between which it was looked for."""
    task: str = ""
    tenant: str = ""
    since: datetime | None = None
    until: datetime | None = None


class Archived(BaseModel):
    """One record. `body` is its text; of what is no UTF-8, `body64` is its bytes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: str
    seq: int
    time: str
    """When nats-server stored it."""
    id: str
    headers: dict[str, str] = Field(default_factory=dict)
    """Those of its writer's that mean nothing to nats-server."""
    body: str = ""
    body64: str = ""

    @field_validator("body64")
    @classmethod
    def _is_base64(cls, text: str) -> str:
        base64.b64decode(text, validate=True)
        return text

    @property
    def data(self) -> bytes:
        return base64.b64decode(self.body64) if self.body64 else self.body.encode()


def archived(place: tuple[str, int], headers: Mapping[str, str], data: bytes) -> Archived:
    """A record at its subject and sequence, with the headers that nats-server gave."""
    own = {name: text for name, text in headers.items() if not name.startswith("Nats-")}
    try:
        body = {"body": data.decode()}
    except UnicodeDecodeError:
        body = {"body64": base64.b64encode(data).decode()}
    stamps = {"time": headers.get("Nats-Time-Stamp", ""), "id": headers.get("Nats-Msg-Id", "")}
    return Archived.model_validate({"subject": place[0], "seq": place[1], "headers": own, **stamps, **body})


@dataclass(slots=True)
class Lines:
    """Writes the lines of one archive, or goes on behind lines that were read."""

    sum: str = ""
    records: int = 0
    last: int = 0
    """The sequence of the newest record."""

    def heading(self, heading: Heading) -> bytes:
        line = orjson.dumps(heading.model_dump(mode="json", exclude_defaults=False))
        self.sum = _hash("", line)
        return line + b"\n"

    def record(self, record: Archived) -> bytes:
        self.records += 1
        self.last = record.seq
        return self._line(record.model_dump(exclude_defaults=True))

    def end(self) -> bytes:
        return self._line({"end": True, "records": self.records})

    def _line(self, what: Mapping[str, Any]) -> bytes:
        line = orjson.dumps(what)
        self.sum = _hash(self.sum, line)
        return line[:-1] + b',"sum":"' + self.sum.encode() + b'"}\n'


@dataclass(slots=True)
class Reading:
    """Reads lines as they were written. Raises Invalid, and says at which line."""

    lines: Lines = field(default_factory=Lines)
    number: int = 0
    ended: bool = False

    def heading(self, line: bytes) -> Heading:
        self.number = 1
        try:
            heading = Heading.model_validate_json(line)
        except ValidationError:
            raise Invalid("this is no archive of Trunkline's: it does not begin as one", code="NO_ARCHIVE") from None
        if heading.archive != KIND:
            raise Invalid("this is no archive of Trunkline's", code="NO_ARCHIVE")
        if heading.version != VERSION:
            message = f"this archive has the version {heading.version}; this Trunkline reads version {VERSION}"
            raise Invalid(message, code="ARCHIVE_VERSION")
        self.lines.sum = _hash("", line.removesuffix(b"\n"))
        return heading

    def record(self, line: bytes) -> Archived | None:
        """None for the line that ends it."""
        self.number += 1
        what = self._checked(line)
        if what.get("end"):
            self.ended = True
            if what.get("records") != self.lines.records:
                raise self._damaged("it holds another number of records than its last line says")
            return None
        try:
            record = Archived.model_validate(what)
        except ValidationError:
            raise self._damaged("a record lacks something") from None
        self.lines.records += 1
        self.lines.last = record.seq
        return record

    def over(self) -> None:
        """To be called where nothing more is to read."""
        if not self.ended:
            raise self._damaged("it ends there, before its last line")

    def _checked(self, line: bytes) -> dict[str, Any]:
        text, mark, tail = line.rpartition(b',"sum":"')
        if self.ended or not mark or not tail.endswith(b'"}\n'):
            raise self._damaged("a line is cut, or was added")
        body = text + b"}"
        if tail != _hash(self.lines.sum, body).encode() + b'"}\n':
            raise self._damaged("a line is not as it was written, or not in its place")
        self.lines.sum = tail[:_DIGITS].decode()
        try:
            found: dict[str, Any] = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise self._damaged("a line is no JSON") from None
        return found

    def _damaged(self, why: str) -> Invalid:
        return Invalid(f"the archive is damaged at line {self.number:,}: {why}. Take another copy of it.", code=DAMAGED)


def _hash(before: str, line: bytes) -> str:
    return sha256(before.encode() + line).hexdigest()[:_DIGITS]
