"""Whatever is done to the log or to its book is found, and where."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.audit.books import BEGAN, EACH, Written, compared, keep, log_of
from trunkline.audit import book
from trunkline.audit.book import CHECKPOINTS, LINKS, SLACK, WITNESS, Imprint, fit, read, up_to
from trunkline.audit.checking import Kind
from trunkline.audit.stretches import LINK
from trunkline.auth.audit_keys import audit_key
from trunkline.contracts.errors import Broken, NotFound

EDITS = 200


def test_a_log_as_it_was_written_is_whole(tmp_path: Path) -> None:
    log = log_of(95)
    pages = keep(tmp_path, log)
    assert pages.seq == 90 and compared(pages, log) == []


def test_a_book_goes_on_where_it_ended(tmp_path: Path) -> None:
    keep(tmp_path, log_of(35))
    pages = keep(tmp_path, log_of(100))
    assert (pages.seq, pages.count) == (100, 10)
    assert compared(pages, log_of(100)) == []


def flipped(log: list[Written], at: int, dice: random.Random) -> tuple[Kind, int]:
    seq, subject, body = log[at]
    place, bit = dice.randrange(len(body)), 1 << dice.randrange(8)
    log[at] = (seq, subject, body[:place] + bytes([body[place] ^ bit]) + body[place + 1 :])
    return Kind.CHANGED, seq


def moved(log: list[Written], at: int, dice: random.Random) -> tuple[Kind, int]:
    """To another tenant."""
    seq, subject, body = log[at]
    log[at] = (seq, subject.replace("evt.", "evt.z"), body)
    return Kind.CHANGED, seq


def taken_away(log: list[Written], at: int, dice: random.Random) -> tuple[Kind, int]:
    return Kind.MISSING, log.pop(at)[0]


def renumbered(log: list[Written], at: int, dice: random.Random) -> tuple[Kind, int]:
    """One is gone, and all behind it move up: what nats-server does with a block it cannot read."""
    gone = log.pop(at)[0]
    log[at:] = [(seq - 1, subject, body) for seq, subject, body in log[at:]]
    return Kind.CHANGED, gone


def swapped(log: list[Written], at: int, dice: random.Random) -> tuple[Kind, int]:
    (one, *first), (two, *second) = log[at], log[at + 1]
    log[at], log[at + 1] = (one, *second), (two, *first)  # type: ignore[assignment]
    return Kind.CHANGED, one


def cut(log: list[Written], at: int, dice: random.Random) -> tuple[Kind, int]:
    first = log[at][0]
    del log[at:]
    return Kind.CUT, first


def turned_back(log: list[Written], at: int, dice: random.Random) -> tuple[Kind, int]:
    """An old copy was restored, and life went on."""
    first = log[at][0]
    log[at:] = [(seq, subject, b'{"at":"later"}') for seq, subject, _ in log[at:]]
    return Kind.CHANGED, first


DONE: tuple[Callable[[list[Written], int, random.Random], tuple[Kind, int]], ...] = (
    flipped, moved, taken_away, renumbered, swapped, cut, turned_back,
)  # fmt: skip


@pytest.mark.parametrize("how", DONE)
def test_each_of_many_random_edits_is_found_at_its_very_record(tmp_path: Path, how: Callable[..., tuple[Kind, int]]) -> None:
    log = log_of(120)
    pages = keep(tmp_path, log)
    for seed in range(EDITS // len(DONE) + 1):
        dice, edited = random.Random(seed), list(log)
        kind, seq = how(edited, dice.randrange(1, 118), dice)
        found = compared(pages, edited)
        assert found and (found[0].kind, found[0].first) == (kind, seq), (seed, found)


def test_two_edits_under_one_checkpoint_are_two_findings(tmp_path: Path) -> None:
    log = log_of(40)
    pages = keep(tmp_path, log)
    log[12] = (13, log[12][1], b"other")
    log[16] = (17, log[16][1], b"other")
    assert [(each.first, each.last) for each in compared(pages, log)] == [(13, 13), (17, 17)]


def test_what_was_put_in_between_is_found(tmp_path: Path) -> None:
    log = [each for each in log_of(60) if each[0] != 25]
    pages = keep(tmp_path, log)
    found = compared(pages, log_of(60))
    assert [(each.kind, each.first) for each in found] == [(Kind.ADDED, 25)]


def test_what_is_too_old_to_be_kept_is_missed_by_nobody(tmp_path: Path) -> None:
    pages = keep(tmp_path, log_of(100))
    assert compared(pages, log_of(100)[34:], kept_since=BEGAN + timedelta(minutes=40)) == []


def test_what_is_gone_before_its_time_is_missed(tmp_path: Path) -> None:
    pages = keep(tmp_path, log_of(100))
    found = compared(pages, log_of(100)[34:], kept_since=BEGAN)
    assert [each.kind for each in found] == [Kind.EARLY] and (found[0].first, found[0].last) == (10, 34)


def test_an_emptied_log_is_one_that_was_cut(tmp_path: Path) -> None:
    assert [(each.kind, each.first, each.last) for each in compared(keep(tmp_path, log_of(30)), [])] == [(Kind.CUT, 1, 30)]


def test_a_log_that_holds_nothing_any_more_because_all_of_it_was_old_is_whole(tmp_path: Path) -> None:
    pages = keep(tmp_path, log_of(30))
    assert compared(pages, [], kept_since=BEGAN + timedelta(days=1), ends=(31, 30)) == []
    emptied = compared(pages, [], kept_since=BEGAN, ends=(31, 30))
    assert [(each.kind, each.last) for each in emptied] == [(Kind.EARLY, 30)]


def test_what_grew_too_old_while_it_was_read_is_missed_by_nobody(tmp_path: Path) -> None:
    pages, log = keep(tmp_path, log_of(100)), log_of(100)
    assert compared(pages, log[:3] + log[20:], ends=(21, 100)) == []
    assert [(each.first, each.last) for each in compared(pages, log[:3] + log[20:], ends=(1, 100))] == [(4, 20)]


def test_a_log_that_is_kept_longer_from_now_on_lacks_what_was_given_up_before(tmp_path: Path) -> None:
    """Ten minutes were kept until now, and a day is from now on."""
    pages = keep(tmp_path, log_of(100), imprint=Imprint(kept=timedelta(minutes=10)))
    since = pages.kept_since(BEGAN + timedelta(minutes=100), timedelta(days=1))
    assert since == BEGAN + timedelta(minutes=90) + SLACK
    assert compared(pages, log_of(100)[85:], kept_since=since) == []


def test_records_that_are_missing_are_told_with_the_tenant_that_lacks_them(tmp_path: Path) -> None:
    pages, log = keep(tmp_path, log_of(30)), log_of(30)
    (found,) = compared(pages, log[:14] + log[15:])
    assert (found.kind, found.first, found.tenant) == (Kind.MISSING, 15, "a")


def test_a_checkpoint_of_a_newer_version_is_read_and_proven(tmp_path: Path) -> None:
    keep(tmp_path, log_of(10))
    key, file = audit_key(tmp_path / "audit.key"), tmp_path / "book" / CHECKPOINTS
    said = {**json.loads(file.read_bytes()), "signature": "", "place": "of a later version"}
    plain = json.dumps(said, sort_keys=True, separators=(",", ":"))
    signature = base64.b64encode(key.sign(plain.encode())).decode()
    file.write_text(plain.replace('"signature":""', f'"signature":"{signature}"') + "\n")
    assert read(tmp_path / "book").seq == 10
    file.write_text(file.read_text().replace("later", "other"))
    with pytest.raises(Broken, match="not signed"):
        read(tmp_path / "book")


@pytest.mark.parametrize(("lost", "said"), [(CHECKPOINTS, "was taken away"), (WITNESS, "holds no Ed25519")])
def test_a_book_that_lost_a_part_is_no_new_book(tmp_path: Path, lost: str, said: str) -> None:
    keep(tmp_path, log_of(20))
    before = (tmp_path / "book" / LINKS).read_bytes()
    if lost == CHECKPOINTS:
        (tmp_path / "book" / lost).unlink()
    else:
        (tmp_path / "book" / lost).write_text("nonsense")
    with pytest.raises(Broken, match=said):
        keep(tmp_path, log_of(40))
    assert (tmp_path / "book" / LINKS).read_bytes() == before


def test_another_key_than_the_books_is_told_as_that(tmp_path: Path) -> None:
    keep(tmp_path, log_of(10))
    (tmp_path / "audit.key").unlink()
    with pytest.raises(Broken, match="was kept with the key"):
        keep(tmp_path, log_of(20))


def test_a_link_that_was_changed_in_the_book_is_not_blamed_on_the_log(tmp_path: Path) -> None:
    keep(tmp_path, log_of(30))
    links = tmp_path / "book" / LINKS
    whole = bytearray(links.read_bytes())
    whole[14 * LINK + 9] ^= 1
    links.write_bytes(whole)
    assert [(each.kind, each.first) for each in compared(read(tmp_path / "book"), log_of(30))] == [(Kind.BOOK, 15)]


def flip(file: Path, bit: int, whole: bytes) -> None:
    """One bit of what was there."""
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    file.write_bytes(changed)


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("number", [1, 4, 15, 20, 30])
def test_each_bit_of_a_link_is_found_as_the_books_damage_at_its_record(tmp_path: Path, number: int, step: int) -> None:
    """Also where the log has gaps, so that a link may name another record and still be in order."""
    log = [(seq * step, subject, body) for seq, subject, body in log_of(30)]
    pages, links = keep(tmp_path, log), tmp_path / "book" / LINKS
    whole = links.read_bytes()
    for bit in range((number - 1) * LINK * 8, number * LINK * 8):
        flip(links, bit, whole)
        found = compared(pages, log, ends=(step, 30 * step))
        assert [(each.kind, each.first, each.last) for each in found] == [(Kind.BOOK, number * step, number * step)], bit % 128


@pytest.mark.parametrize("bit", range(6))
def test_a_damaged_link_hides_nothing_that_was_done_to_the_log(tmp_path: Path, bit: int) -> None:
    log, links = log_of(30), tmp_path / "book" / LINKS
    pages = keep(tmp_path, log)
    flip(links, 3 * LINK * 8 + 56 + bit, links.read_bytes())  # the lowest byte of sequence 4
    log[6] = (7, log[6][1], b"forged")
    found = compared(pages, log[:25], ends=(1, 25))
    assert [(each.kind, each.first, each.last, each.tenant) for each in found] == [
        (Kind.LINKS, 1, 10, ""), (Kind.CHAIN, 1, 10, "b"), (Kind.CUT, 26, 30, ""),
    ]  # fmt: skip
    found = compared(pages, log[:8], ends=(1, 8))
    assert [(each.kind, each.first, each.last) for each in found] == [(Kind.LINKS, 1, 10), (Kind.CUT, 9, 30)]


def test_where_the_log_begins_behind_a_damaged_link_the_book_is_named_too(tmp_path: Path) -> None:
    links = tmp_path / "book" / LINKS
    pages = keep(tmp_path, log_of(30))
    flip(links, 3 * LINK * 8 + 56 + 2, links.read_bytes())
    for left_out in (6, 15):
        found = compared(pages, log_of(30)[left_out:], kept_since=BEGAN + timedelta(days=1), ends=(left_out + 1, 30))
        assert [(each.kind, each.first, each.last) for each in found] == [(Kind.LINKS, 1, 10)]


def test_a_link_that_was_put_in_moves_all_behind_it_and_the_log_is_not_blamed(tmp_path: Path) -> None:
    pages, links = keep(tmp_path, log_of(30)), tmp_path / "book" / LINKS
    whole = links.read_bytes()
    links.write_bytes(whole[: 14 * LINK] + whole[:LINK] + whole[14 * LINK :])
    assert [(each.kind, each.first, each.last) for each in compared(pages, log_of(30))] == [(Kind.BOOK, 15, 30)]


@pytest.mark.parametrize("line", [0, 1])
def test_no_byte_of_a_checkpoint_stands_for_nothing(tmp_path: Path, line: int) -> None:
    """Also those behind which nothing seems to lie: the last of a signature, and the end of the last line."""
    keep(tmp_path, log_of(20))
    file = tmp_path / "book" / CHECKPOINTS
    whole = file.read_bytes()
    ends = (0, whole.index(b"\n") + 1, len(whole))
    start, end = ends[line : line + 2]
    for place in (*range(start, end, 4), whole.index(b"==", start) - 1, end - 1):
        flip(file, place * 8 + place % 8, whole)
        with pytest.raises(Broken):
            read(tmp_path / "book")
    with pytest.raises(Broken):
        keep(tmp_path, log_of(40))


def test_links_beyond_what_a_crash_leaves_are_checkpoints_that_were_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "SEAL", EACH)
    keep(tmp_path, log_of(40))
    file = tmp_path / "book" / CHECKPOINTS
    lines = file.read_bytes().splitlines(keepends=True)
    for left in (2, 0):
        file.write_bytes(b"".join(lines[:left]))
        with pytest.raises(Broken, match="checkpoints were taken away"):
            keep(tmp_path, log_of(60))
    file.write_bytes(b"".join(lines[:3]))  # as a crash leaves it
    pages = keep(tmp_path, log_of(60))
    assert pages.seq == 60 and compared(pages, log_of(60)) == []


def test_a_record_and_its_link_that_were_changed_together_break_the_signed_head(tmp_path: Path) -> None:
    log = log_of(30)
    keep(tmp_path, log)
    log[14] = (15, log[14][1], b"forged")
    keep(tmp_path / "forger", log)
    (tmp_path / "book" / LINKS).write_bytes((tmp_path / "forger" / "book" / LINKS).read_bytes())
    found = compared(read(tmp_path / "book"), log)
    assert [(each.kind, each.first, each.last, each.tenant) for each in found] == [(Kind.CHAIN, 11, 20, "a")]


@pytest.mark.parametrize("damage", ["changed", "left out", "turned round", "another's", "unreadable", "no head", "no time"])
def test_a_checkpoint_cannot_be_forged(tmp_path: Path, damage: str) -> None:
    keep(tmp_path, log_of(50))
    file = tmp_path / "book" / CHECKPOINTS
    lines = file.read_bytes().splitlines(keepends=True)
    match damage:
        case "changed":
            lines[2] = lines[2].replace(b'"seq":30', b'"seq":29')
        case "left out":
            del lines[2]
        case "turned round":
            lines[1], lines[2] = lines[2], lines[1]
        case "another's":
            keep(tmp_path / "forger", log_of(50))
            lines[0] = (tmp_path / "forger" / "book" / CHECKPOINTS).read_bytes().splitlines(keepends=True)[0]
        case "no head":
            lines[2] = lines[2].replace(b'"a":"', b'"a":"z')
        case "no time":
            lines[2] = lines[2].replace(b'Z","epoch"', b'","epoch"')
        case _:
            lines[3] = b"{}\n"
    file.write_bytes(b"".join(lines))
    with pytest.raises(Broken):
        read(tmp_path / "book")


def test_a_book_of_another_key_is_refused_to_who_knows_the_right_one(tmp_path: Path) -> None:
    keep(tmp_path / "forger", log_of(20))
    with pytest.raises(Broken):
        read(tmp_path / "forger" / "book", audit_key(tmp_path / "audit.key").witness)


def test_a_line_that_was_never_finished_is_no_line(tmp_path: Path) -> None:
    keep(tmp_path, log_of(30))
    with (tmp_path / "book" / CHECKPOINTS).open("ab") as file:
        file.write(b'{"version":1,"ep')
    with (tmp_path / "book" / LINKS).open("ab") as file:
        file.write(b"torn")
    pages = keep(tmp_path, log_of(60))
    assert pages.seq == 60 and compared(pages, log_of(60)) == []


def test_a_book_can_be_cut_to_where_a_backup_of_the_log_ends(tmp_path: Path) -> None:
    keep(tmp_path, log_of(60))
    file = tmp_path / "book" / CHECKPOINTS
    file.write_bytes(file.read_bytes()[: up_to(tmp_path / "book", 45)])
    fit(tmp_path / "book")
    pages = read(tmp_path / "book")
    assert (tmp_path / "book" / LINKS).stat().st_size == 40 * LINK
    assert pages.seq == 40 and compared(pages, log_of(45)) == []
    assert keep(tmp_path, log_of(70)).seq == 70


def test_links_that_are_missing_are_told(tmp_path: Path) -> None:
    keep(tmp_path, log_of(30))
    links = tmp_path / "book" / LINKS
    links.write_bytes(links.read_bytes()[: -2 * LINK])
    with pytest.raises(Broken, match="holds 28 of 30"):
        read(tmp_path / "book")


def test_where_there_is_no_book_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read(tmp_path)
