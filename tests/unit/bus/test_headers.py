"""Headers are read as nats-py reads them, only sooner."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from trunkline.bus import headers

WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=12)
NAME = st.one_of(WORD, st.just("é"), st.just("two words"), st.just(""), st.just(" spaced "))
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="\x7f\x80\x85\xa0"), max_size=20)


@given(st.lists(st.tuples(NAME, st.sampled_from([":", ": ", ":\t", ""]), VALUE), max_size=6))
def test_every_header_is_read_as_nats_py_reads_it(lines: list[tuple[str, str, str]]) -> None:
    raw = "".join(f"{name}{colon}{value}\r\n" for name, colon, value in lines).encode() + b"\r\n"
    assert headers.read(raw) == Client._parse_header_lines(raw)


def test_what_is_no_utf_8_is_mended() -> None:
    assert headers.read(b"Name: a\xffb\r\n\r\n") == {"Name": "a\ufffdb"}
