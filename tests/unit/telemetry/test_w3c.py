"""The two headers of W3C Trace Context, as its own suite of tests asks for them to be read."""

from __future__ import annotations

import pytest

from tests.each import each
from trunkline.telemetry.w3c import Parent, parent, state

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WHOLE = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
def test_a_parent_is_read_and_of_its_flags_the_one_that_is_known(flags: str, sampled: bool) -> None:
    assert parent(f"00-{TRACE}-{SPAN}-{flags}") == Parent(TRACE, SPAN, sampled)


@pytest.mark.parametrize("text", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", f"fe-{TRACE}-{SPAN}-01-"])
def test_of_a_version_to_come_the_part_that_is_known_is_read(text: str) -> None:
    assert parent(text) == Parent(TRACE, SPAN, True)


@each(
    "text",
    ["", "00", "garbage", WHOLE[:-1], WHOLE + "0", WHOLE + "-", WHOLE + "-01", " " + WHOLE, WHOLE + "\n", WHOLE.upper(),
     WHOLE.replace("-", "."), "ff" + WHOLE[2:], "0" + WHOLE, WHOLE[1:], WHOLE.replace(TRACE, "0" * 32), WHOLE.replace(SPAN, "0" * 16),
     WHOLE.replace(TRACE, TRACE[:-1] + "g"), WHOLE.replace(TRACE, TRACE[:-1]), WHOLE.replace(SPAN, SPAN + "0"), WHOLE[:-2] + ".0",
     "cc" + WHOLE[2:] + ".more", "\u0660\u0660" + WHOLE[2:]],
)  # fmt: skip
def test_what_is_not_as_it_must_be_is_nothing(text: str) -> None:
    assert parent(text, "vendor=kept") is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [("foo=1", "foo=1"), ("foo=1,bar=2", "foo=1,bar=2"), ("foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3"),
     ("foo=1,,,bar=2", "foo=1,bar=2"),
     ("t@v=1", "t@v=1"), ("foo=a b", "foo=a b"), (",".join(f"m{n}=1" for n in range(32)), ",".join(f"m{n}=1" for n in range(32)))],
)  # fmt: skip
def test_a_state_is_carried_on_as_it_came(text: str, kept: str) -> None:
    assert parent(WHOLE, text) == Parent(TRACE, SPAN, True, kept)


@each(
    "text",
    ["foo=1,foo=2", "foo", "=1", "Foo=1", "foo =1", "foo=", "foo=1=2", "foo=\x01", "foo=é", "t@=1", "t@vwxyzvwxyzvwxyz=1", "a" * 257 + "=1",
     "foo=" + "1" * 257, ",".join(f"m{n}=1" for n in range(33)), ",".join(f"m{n}={'1' * 40}" for n in range(12))],
)  # fmt: skip
def test_a_state_that_is_wrong_or_too_large_is_dropped_as_a_whole_and_the_parent_stays(text: str) -> None:
    assert state(text) == ""
    assert parent(WHOLE, text) == Parent(TRACE, SPAN, True)
