"""A private key that is printed line by line is struck line by line, and what only looks like its beginning strikes nothing for ever."""

from __future__ import annotations

import base64
import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.telemetry.key_lines import MARK, MOST_LINES, KeyLines
from trunkline.telemetry.redaction import Redactor

BYTES = b"".join(hashlib.sha256(bytes([each])).digest() for each in range(38))
BODY = [LINE for at in range(0, len(BYTES), 48) if (LINE := base64.b64encode(BYTES[at : at + 48]).decode())]
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
KEY = [BEGIN, *BODY, END]
REDACTOR = Redactor()


def struck(*pieces: str, keys: KeyLines | None = None) -> list[str]:
    """As the timeline of a run strikes them."""
    keys = keys or KeyLines()
    return [REDACTOR.text(keys.text(piece)) for piece in pieces]


def holds_key(said: list[str]) -> bool:
    return any(line in piece for piece in said for line in BODY)


@pytest.mark.parametrize(
    "before", ["", "   ", "12:00:01 app | ", "+", "> ", '  "'], ids=["bare", "indented", "log", "diff", "quoted", "json"]
)
def test_every_line_of_a_key_is_struck_though_each_comes_alone(before: str) -> None:
    said = struck("hello", *[before + line for line in KEY], "and on it goes")

    assert not holds_key(said)
    assert BODY[-1] not in "".join(said)
    assert (said[0], said[-1]) == ("hello", "and on it goes")
    assert all(MARK in line for line in said[1:-1])


@given(st.lists(st.integers(1, len(KEY) - 1), max_size=6, unique=True).map(sorted))
def test_a_key_is_struck_however_its_lines_are_put_together(cuts: list[int]) -> None:
    places = [0, *cuts, len(KEY)]
    pieces = ["\n".join(KEY[start:end]) for start, end in pairwise(places)]
    assert not holds_key(struck("x", *pieces, "y"))


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
def test_every_kind_of_key_is_known(kind: str) -> None:
    headers = ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0011", ""]
    assert not holds_key(struck(f"-----BEGIN {kind}-----", *headers, *BODY, f"-----END {kind}-----"))


def test_lines_of_others_between_those_of_a_key_stay_and_do_not_end_it() -> None:
    mixed = [line for each in KEY for line in (each, "warning: something else")]
    said = struck(*mixed)
    assert not holds_key(said)
    assert said.count("warning: something else") == len(KEY)


def test_a_beginning_without_an_end_is_forgotten() -> None:
    talk = [f"ordinary line {number}" for number in range(8)]
    said = struck(f"a key looks like {BEGIN}", *talk, "a" * 64)
    assert said[1:] == [*talk, "a" * 64]


def test_a_beginning_is_forgotten_though_what_follows_looks_like_a_key_for_ever() -> None:
    said = struck(BEGIN, *[BODY[0]] * (MOST_LINES + 10))
    assert said[-1] == BODY[0]
    assert said.count(BODY[0]) == 10


def test_after_the_end_nothing_is_struck() -> None:
    assert struck(*KEY, BODY[0])[-1] == BODY[0]
    assert struck(BEGIN, f"{BODY[0]} {END} then {BODY[1]}")[-1] == f"{MARK} then {BODY[1]}"


def test_what_stands_around_a_whole_key_stays() -> None:
    assert struck("\n".join(["one", *KEY, "two"]), "three") == [f"one\n{MARK}\ntwo", "three"]
    assert struck(*["\n".join(["one", *KEY[:9]]), "\n".join([*KEY[9:], "two"])])[1].endswith(f"{MARK}\ntwo")


def test_a_certificate_is_no_key() -> None:
    said = ["-----BEGIN CERTIFICATE-----", *BODY, "-----END CERTIFICATE-----"]
    assert struck(*said) == said


def test_a_whole_key_in_one_piece_leaves_nothing_open() -> None:
    assert struck("\n".join(KEY), BODY[0])[-1] == BODY[0]


def test_whoever_takes_over_in_the_middle_of_a_key_goes_on_striking() -> None:
    half = struck(*KEY[:5])
    assert not holds_key(struck(*KEY[5:], keys=KeyLines(half[-1])))


def test_what_was_struck_is_known_so_that_it_is_struck_elsewhere_too() -> None:
    keys = KeyLines()
    struck(*KEY[:-1], keys=keys)
    told = f"the agent ended with exit code 1; the last it wrote was: {BODY[-1]}"
    assert Redactor().with_(*keys.known).text(told).endswith(MARK)


def test_the_short_form_of_a_struck_line_is_struck() -> None:
    assert BODY[0][:30] not in KeyLines().short(f"{BODY[0][:60]}…")
