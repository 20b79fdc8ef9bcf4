"""Pull requests of one repository as files, one for each head, numbered from 1, whoever else is writing and whatever is killed."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trunkline.contracts.errors import Broken, NotFound, Unavailable

_WAIT_S = 10.0


class Record(BaseModel):
    """A pull request as it was opened; nothing of it changes but its text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    base: str
    head: str
    title: str
    body: str
    commit: str
    merge_base: str
    created_at: datetime


class Records:
    """The records below `<repository>/trunkline/pulls`. Its calls block, for ten seconds at most."""

    def __init__(self, repository: Path) -> None:
        self._dir = repository / "trunkline" / "pulls"

    def get(self, number: int) -> Record:
        """Raises NotFound."""
        try:
            return Record.model_validate_json((self._dir / f"{number}.json").read_bytes())
        except FileNotFoundError as error:
            raise NotFound(f"There is no pull request {number} in this repository.", code="PULL_REQUEST_NOT_FOUND") from error
        except ValidationError as error:
            text = f"The record of pull request {number} is damaged; restore {number}.json from a backup."
            raise Broken(text, code="PULL_REQUEST_DAMAGED") from error

    def find_or_add(self, record: Record, retold: Callable[[str], str]) -> int:
        """The number of the record with this head, its text `retold` where it was there; `record`'s own number does not matter."""
        self._dir.mkdir(parents=True, exist_ok=True)
        with self._alone():
            numbers = sorted(self._numbers(), reverse=True)
            found = (number for number in numbers if self.get(number).head == record.head)
            known = next(found, None)
            if known is None:
                return self._add(record, (numbers or [0])[0] + 1)
            self._retell(self.get(known), retold)
            return known

    def _numbers(self) -> Iterator[int]:
        return (int(path.stem) for path in self._dir.glob("*.json") if path.stem.isdigit())

    def _add(self, record: Record, number: int) -> int:
        new = self._written(record.model_copy(update={"number": number}))
        os.link(new, self._dir / f"{number}.json")
        new.unlink()
        self._settle()
        return number

    def _retell(self, record: Record, retold: Callable[[str], str]) -> None:
        text = retold(record.body)
        if text != record.body:
            self._written(record.model_copy(update={"body": text})).replace(self._dir / f"{record.number}.json")
            self._settle()

    def _written(self, record: Record) -> Path:
        """On disk whole before it has its name, so that a kill leaves all of it or nothing."""
        for stale in self._dir.glob(".new-*"):
            stale.unlink()
        new = self._dir / f".new-{secrets.token_hex(4)}"
        with new.open("xb") as file:
            file.write(record.model_dump_json(indent=2).encode())
            file.flush()
            os.fsync(file.fileno())
        return new

    def _settle(self) -> None:
        folder = os.open(self._dir, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The kernel gives the lock back when its holder dies."""
        with (self._dir.parent / "lock").open("ab") as file:
            until = time.monotonic() + _WAIT_S
            while not _locked(file.fileno()):
                if time.monotonic() > until:
                    raise Unavailable("Others are opening pull requests in this repository; try again in a moment.", code="REPO_LOCKED")
                time.sleep(0.005)
            yield


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
