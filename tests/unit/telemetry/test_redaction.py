"""A secret is struck in every spelling that programs print, and nothing else is touched."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.telemetry.redaction import SHORTEST, Redactor, spellings

SECRET = "tl-canary/9f2c+7A41=b0d8"
REDACTOR = Redactor([("job-token", SECRET)])
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=SHORTEST, max_size=60)
AROUND = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=40)


def wrapped(data: bytes) -> str:
    return base64.encodebytes(data).decode()


@pytest.mark.parametrize(
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
    ],
    ids=["plain", "json", "url", "url twice", "hex", "hex in capitals", "base64", "basic", "base64 for addresses", "base64 over lines"],
)
def test_a_secret_is_struck_in_every_spelling(said: str) -> None:
    struck = REDACTOR.text(f"before {said} after")
    assert "[redacted:job-token]" in struck
    assert not any(spelling in struck.replace("\n", "") for spelling in spellings(SECRET))


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


def test_names_and_values_inside_of_json_are_struck() -> None:
    struck = REDACTOR.json({"a": [SECRET, 1, None], SECRET: {"b": f"<{SECRET}>"}})
    assert struck == {"a": ["[redacted:job-token]", 1, None], "[redacted:job-token]": {"b": "<[redacted:job-token]>"}}


@pytest.mark.parametrize(
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
    assert time.perf_counter() - began < 5
