"""The records of one tenant are proven by themselves, without the log and without anybody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.audit.books import Written, keep, log_of
from trunkline.audit.archives import ArchiveCheck
from trunkline.audit.book import LINKS, read_heads
from trunkline.audit.chain import tenant_of
from trunkline.audit.checking import Kind


def of_b(log: list[Written]) -> list[Written]:
    return [each for each in log if tenant_of(each[1]) == "b"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A book over 90 records of three tenants, of which a tenant gets no links."""
    keep(tmp_path, log_of(95))
    (tmp_path / "book" / LINKS).unlink()
    return tmp_path / "book"


def checked(folder: Path, log: list[Written], tenant: str = "b", first: int = 1, last: int = 95) -> ArchiveCheck:
    check = ArchiveCheck(read_heads(folder), tenant, first, last)
    for record in log:
        check.record(*record)
    check.end()
    return check


def test_a_tenants_archive_is_proven_alone_but_for_what_nobody_has_signed_for(folder: Path) -> None:
    check = checked(folder, of_b(log_of(95)))
    assert (check.findings, check.proven, check.unproven) == ([], 30, 2)


def test_everybodys_archive_is_proven_too(folder: Path) -> None:
    check = checked(folder, log_of(95), tenant="")
    assert (check.findings, check.proven, check.unproven) == ([], 90, 5)


@pytest.mark.parametrize("how", ["changed", "taken away", "put in", "turned round", "moved"])
def test_whatever_was_done_to_it_is_found_between_two_checkpoints(folder: Path, how: str) -> None:
    log = of_b(log_of(95))  # 1, 4, 7 …: 40, 43 and 46 are at 13, 14, 15
    (one, *first), (two, *second) = log[14], log[15]
    match how:
        case "changed":
            log[14] = (one, log[14][1], b"forged")
        case "taken away":
            del log[14]
        case "put in":
            log.insert(15, (45, log[14][1], b"never"))
        case "turned round":
            log[14], log[15] = (one, *second), (two, *first)  # type: ignore[assignment]
        case _:
            log[14] = (44, *log[14][1:])
    assert [(each.kind, each.first, each.last, each.tenant) for each in checked(folder, log).findings] == [(Kind.HOLE, 41, 50, "b")]


def test_of_one_that_begins_and_ends_in_the_middle_only_what_lies_between_is_proven(folder: Path) -> None:
    log = [each for each in of_b(log_of(95)) if 25 <= each[0] <= 64]
    check = checked(folder, log, first=25, last=64)
    assert (check.findings, check.proven, check.unproven) == ([], 10, 4)


def test_a_tail_that_was_left_out_is_found(folder: Path) -> None:
    log = [each for each in of_b(log_of(95)) if each[0] <= 70]
    assert [(each.first, each.last) for each in checked(folder, log).findings] == [(71, 80), (81, 90)]
