"""A secret is struck in every spelling that programs print, and nothing else is touched."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from trunkline.telemetry.redaction import SHORTEST, Redactor, spellings

SECRET = "tl-canary/9f2c+7A41=b0d8"
REDACTOR = Redactor([("job-token", SECRET)])
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=SHORTEST, max_size=60)
AROUND = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=40)


@given(AROUND, VALUES, AROUND, st.sampled_from(("", " ", "\n", "\n  ")))
def test_the_quick_look_sees_what_the_slow_one_strikes(before: str, value: str, after: str, parting: str) -> None:
    knows = Redactor([("own", value)], patterns=False)
    for spelling in spellings(value):
        text = f"{before} {spelling[:5]}{parting}{spelling[5:]} {after}"
        assert knows.hinted(text) or knows.text(text) == text


def wrapped(data: bytes) -> str:
    return base64.encodebytes(data).decode()


@each(
    "said",
    [
        SECRET,
        json.dumps({"token": SECRET}),
        quote(SECRET, safe=""),
        quote(quote(SECRET, safe=""), safe=""),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"x-access-token:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"ab{SECRET}".encode()).decode(),
        wrapped(f"{'long before ' * 5}{SECRET}{' and after' * 5}".encode()),
        f"{SECRET[:9]} {SECRET[9:]}",
    ],
)
def test_a_secret_is_struck_in_every_spelling(said: str) -> None:
    struck = REDACTOR.text(f"before {said} after")
    assert "[redacted:job-token]" in struck
    assert not any(spelling in struck.replace("\n", "").replace(" ", "") for spelling in spellings(SECRET))


@given(VALUES, AROUND, AROUND, st.sampled_from(["plain", "url", "hex", "base64"]))
def test_any_value_is_struck_wherever_it_stands(value: str, before: str, after: str, way: str) -> None:
    data = value.encode()
    said = {
        "plain": f"{before}{value}{after}",
        "url": f"{before}{quote(value, safe='')}{after}",
        "hex": f"{before}{data.hex()}{after}",
        "base64": base64.b64encode(before.encode() + data + after.encode()).decode(),
    }[way]
    struck = Redactor([("x", value)], patterns=False).text(said)
    assert "[redacted:x]" in struck


@given(st.text(max_size=300))
def test_text_without_a_secret_stays_the_very_same(text: str) -> None:
    assert Redactor([("x", SECRET)], patterns=False).text(text) is text


TWICE = base64.b64encode(base64.b64encode(f"user:{SECRET}".encode())).decode()


@each(
    "said",
    [
        "".join(f"\\u{ord(char):04x}" for char in SECRET),
        json.dumps(SECRET).replace("A", "\\u0041"),
        json.dumps(SECRET).replace("/", "\\/"),
        json.dumps(json.dumps(SECRET)).replace("/", "\\\\/"),
        SECRET.replace("+", "%2b"),
        "".join(f"%{ord(char):02X}" for char in SECRET),
        "".join(f"\\x{ord(char):02x}" for char in SECRET),
        "".join(f"&#{ord(char)};" for char in SECRET),
        SECRET.encode().hex(" "),
        SECRET.encode().hex(":").upper(),
        TWICE,
        f"{SECRET[:8]}\x1b[31m{SECRET[8:]}",
        f"{SECRET[:8]}\u200b{SECRET[8:]}",
        f"{SECRET[:8]}\\\n{SECRET[8:]}",
        SECRET.encode("utf-16-le").decode(),
    ],
)
def test_a_secret_is_struck_though_it_is_spelt_oddly(said: str) -> None:
    struck = REDACTOR.text(f"before {said} after")
    assert struck.startswith("before ")
    assert struck.endswith(" after")
    assert "[redacted:job-token]" in struck


@given(st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="\\%&"), min_size=SHORTEST, max_size=60), st.randoms())
def test_any_mixture_of_escapes_is_struck_and_what_stands_around_it_stays(value: str, choose: Random) -> None:
    ways = (str, lambda char: f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char, lambda char: f"&#{ord(char)};")
    said = "".join(choose.choice(ways)(char) for char in value)
    struck = Redactor([("x", value)], patterns=False).text(f"it is {said} here")
    assert struck == "it is [redacted:x] here"


@pytest.mark.parametrize("length", [SHORTEST, len(SECRET) - 1])
def test_a_secret_that_was_cut_off_is_struck(length: int) -> None:
    assert REDACTOR.text(f"it is {SECRET[:length]}…") == "it is [redacted:job-token]…"
    assert REDACTOR.text("it is ghp_a1B2a1…") == "it is [redacted:cut-off]…"


@each(
    ("kind", "said"),
    [
        ("github-token", "TOKEN_ghp_" + "a1B2" * 9),
        ("github-token", json.dumps("line\nghp_" + "a1B2" * 9)),
        ("github-token", "\x1b[31mghp_" + "a1B2" * 9),
        ("anthropic-key", json.dumps("sk-ant-api03-" + "x1" * 20).replace("-", "\\u002d")),
        ("git-credential", base64.b64encode(b"x-access-token:ghp_" + b"a1B2" * 9).decode()),
        *[("job-token", base64.b64encode(b"x" * at + b"trunkline-job-" + b"0a" * 20).decode()) for at in range(3)],
        ("job-token", (b"trunkline-job-" + b"0a" * 20).hex()),
    ],
)
def test_a_shape_is_known_behind_other_words_and_in_other_spellings(kind: str, said: str) -> None:
    assert f"[redacted:{kind}]" in Redactor().text(f"it is {said} here")


def test_escapes_around_escapes_without_end_cost_next_to_nothing() -> None:
    assert REDACTOR.text("%25" * 80_000) == "%25" * 80_000


def test_names_and_values_inside_of_json_are_struck() -> None:
    struck = REDACTOR.json({"a": [SECRET, 1, None], SECRET: {"b": f"<{SECRET}>"}})
    assert struck == {"a": ["[redacted:job-token]", 1, None], "[redacted:job-token]": {"b": "<[redacted:job-token]>"}}


@each(
    ("kind", "said"),
    [
        ("github-token", "ghp_" + "a1B2" * 9),
        ("github-token", "github_pat_11AAAAAAA0" + "b" * 30),
        ("anthropic-key", "sk-ant-api03-" + "x1" * 20),
        ("model-key", "sk-proj-" + "Ab3_" * 12),
        ("aws-key-id", "AKIA" + "ABCDEFGH12345678"),
        ("google-key", "AIza" + "B" * 35),
        ("web-token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.dozjgNryP4J3jVmNHl0w5N"),
        ("password-in-address", "https://ann:correct-horse@git.example.com/x"),
        ("private-key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
    ],
)
def test_what_has_the_shape_of_a_secret_is_struck_though_nobody_told_us_of_it(kind: str, said: str) -> None:
    struck = Redactor().text(f"found {said} here")
    assert f"[redacted:{kind}]" in struck
    assert (struck.startswith("found ") and struck.endswith(" here")) or kind == "password-in-address"


@pytest.mark.parametrize("before", ["", " ", "login:", "ab "])
@pytest.mark.parametrize("encode", [lambda data: base64.b64encode(data).decode(), bytes.hex, lambda data: data.hex().upper()])
@pytest.mark.parametrize("secret", ["ghp_" + "a1B2" * 9, "sk-ant-api03-" + "x1" * 20, "AKIAABCDEFGH12345678"])
def test_what_has_the_shape_of_a_secret_is_struck_in_base64_and_hex_too(before: str, encode: Callable[[bytes], str], secret: str) -> None:
    said = encode(f"{before}{secret} and some words behind it".encode())
    struck = Redactor().text(f"token: {said}, see above")
    assert "[redacted:" in struck and struck.startswith("token: ") and struck.endswith(", see above")
    assert len(struck.rpartition("]")[2]) > len(", see above") + len(encode(b"some words behind it")) - 2
    assert not any(spelling in struck for spelling in spellings(secret))


def test_digests_and_encoded_data_without_a_secret_are_left_alone() -> None:
    data, words = Random(4).randbytes(100_000), b"plain words " * 40
    for said in (hashlib.sha256(data).hexdigest(), base64.b64encode(data).decode(), data.hex(), base64.b64encode(words).decode()):
        assert Redactor().text(said) is said


@pytest.mark.parametrize(
    "said", ["sk-learn is a typo", "https://example.com:8080/a@b", "eyJ", "ghp_short", "task-force-of-thirty-two-characters-x"]
)
def test_ordinary_words_are_left_alone(said: str) -> None:
    assert Redactor().text(said) == said


def test_two_shapes_over_one_another_take_nothing_of_what_follows() -> None:
    key = "sk-ant-api03-" + "x1" * 20
    assert Redactor().text(f"{key} and then some") == "[redacted:anthropic-key] and then some"


def test_a_short_value_is_no_secret() -> None:
    assert Redactor([("pin", "1234")]).text("1234 files") == "1234 files"


def test_a_hundred_thousand_keys_that_never_end_cost_next_to_nothing() -> None:
    began = time.perf_counter()
    Redactor().text("-----BEGIN PRIVATE KEY-----x" * 40_000)
    assert time.perf_counter() - began < 30
