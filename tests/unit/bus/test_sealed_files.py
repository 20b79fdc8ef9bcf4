"""Files that are written piece by piece and read to their end: a backup is whole and of the right key, or it is refused."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest

from tests.each import each
from trunkline.bus.archive import Archived, Heading
from trunkline.bus.archive_file import written
from trunkline.bus.sealed_file import LARGEST, SealedWriter, new_file, pieces
from trunkline.contracts.errors import Conflict, DomainError, Exhausted

KEY = b"k" * 32
SECRET = b"a secret of ann's"


def backup() -> bytes:
    file = BytesIO()
    box = SealedWriter(file, KEY)
    box.say({"backup": "one"})
    box.write(SECRET * 100_000)
    box.end({"over": True})
    return file.getvalue()


def test_what_was_written_is_read_in_its_order_and_nothing_of_it_lies_open() -> None:
    whole = backup()
    first, *bodies, last = pieces(BytesIO(whole), KEY)
    assert (first, last) == ({"backup": "one"}, {"over": True})
    assert b"".join(body for body in bodies if isinstance(body, bytes)) == SECRET * 100_000
    assert max(len(body) for body in bodies) <= LARGEST
    assert (SECRET in whole, b'backup":' in whole) == (False, False)
    assert backup() != whole  # the same once more shows nobody that it is the same


def flipped(place: int) -> Callable[[bytes], bytes]:
    return lambda whole: whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


@each(
    ("change", "code"),
    [
        (flipped(-1), "BACKUP_DAMAGED"),
        (flipped(60), "BACKUP_DAMAGED"),
        (flipped(20), "BACKUP_KEY"),  # the salt: no key fits any more
        (lambda whole: whole[:-10], "BACKUP_DAMAGED"),
        (lambda whole: whole[: len(whole) // 2], "BACKUP_DAMAGED"),
        (lambda whole: whole[:44], "BACKUP_DAMAGED"),
        (lambda whole: whole + b"x", "BACKUP_DAMAGED"),
        (lambda whole: whole.replace(b"backup 1\n", b"backup 2\n", 1), "BACKUP_VERSION"),
        (lambda whole: b"PK" + whole, "NO_BACKUP"),
        (lambda whole: b"", "NO_BACKUP"),
    ],
)
def test_a_backup_that_is_not_as_it_was_written_is_refused(change: Callable[[bytes], bytes], code: str) -> None:
    with pytest.raises(DomainError) as refused:
        list(pieces(BytesIO(change(backup())), KEY))
    assert refused.value.code == code


def test_another_key_is_told_from_damage() -> None:
    with pytest.raises(DomainError) as refused:
        list(pieces(BytesIO(backup()), b"x" * 32))
    assert refused.value.code == "BACKUP_KEY"


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may become larger: what a full disk says, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_backup_behind(tmp_path: Path) -> None:
    with room(1 << 16), pytest.raises(Exhausted) as refused, new_file(tmp_path / "one.backup") as file:
        SealedWriter(file, KEY).write(bytes(4 << 20))
    assert (refused.value.code, list(tmp_path.iterdir())) == ("DISK_FULL", [])


def test_a_full_disk_cuts_an_archive_that_can_be_gone_on_with(tmp_path: Path) -> None:
    path, heading = tmp_path / "all", Heading(epoch="e", first=1, last=9)
    with room(1 << 12), pytest.raises(Exhausted), written(path, heading) as (archive, _):
        for seq in range(1, 10):
            archive.add(Archived(subject="evt.a.b.task", seq=seq, time="", id=str(seq), body="x" * 1000))
            archive.flush()
    with written(path, heading) as (archive, _):
        begun = archive.last
    assert 1 <= begun < 9


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"mine")
    with pytest.raises(Conflict), new_file(tmp_path / "there"):
        raise AssertionError("must not begin")
    with pytest.raises(Conflict), written(tmp_path / "there", Heading(epoch="e", first=1, last=1)):
        raise AssertionError("must not begin")
    assert (tmp_path / "there").read_bytes() == b"mine"
