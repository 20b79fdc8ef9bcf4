"""Usage is read out of answers while their bytes pass, however they are cut, and nothing that is not understood does harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_sandbox.adapters.model import usage as reading
from trunkline_sandbox.adapters.model.bill import Bill
from trunkline_sandbox.adapters.model.prices import Prices
from trunkline_sandbox.adapters.model.shapes import Purpose, Shape
from trunkline_sandbox.adapters.model.usage import BodyReader, EventReader, Fold, Usage
from trunkline_sandbox.adapters.model.usage_anthropic import on_body, on_event
from trunkline_sandbox.adapters.model.usage_openai import on_chat_body, on_chat_event, on_response_body, on_response_event


def sse(*events: object, end: str = "\n") -> bytes:
    lines = [line for event in events for line in (f"event: x{end}", f"data: {json.dumps(event)}{end}", end)]
    return "".join(lines).encode()


def read(fold: Fold, body: bytes) -> Usage:
    reader = EventReader(fold)
    reader.feed(body)
    return reader.end()


def whole(fold: Fold, body: object) -> Usage:
    reader = BodyReader(fold)
    reader.feed(json.dumps(body).encode())
    return reader.end()


ANTHROPIC_USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 300,
    "cache_creation_input_tokens": 50,
    "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 1,
}
ANTHROPIC = sse(
    {"type": "message_start", "message": {"model": "claude-opus-5", "usage": ANTHROPIC_USAGE}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'grüße, a "usage" of words'}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 77}},
    {"type": "message_stop"},
)
RESPONSES_USAGE = {"input_tokens": 900, "input_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 60}, "output_tokens": 41}
RESPONSES = sse(
    {"type": "response.created", "response": {"model": "gpt-5.5-2026-04-23", "usage": None}},
    {"type": "response.output_text.delta", "delta": "Hello"},
    {"type": "response.function_call_arguments.delta", "delta": '{"x"'},
    {"type": "response.completed", "response": {"model": "gpt-5.5-2026-04-23", "error": None, "usage": RESPONSES_USAGE}},
)
CHAT_USAGE = {"prompt_tokens": 20, "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens": 9}
CHAT = (
    sse(
        {"model": "gpt-4o", "choices": [{"delta": {"content": "Hi"}}], "usage": None},
        {"model": "gpt-4o", "choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]},
        {"model": "gpt-4o", "choices": [], "usage": CHAT_USAGE},
    )
    + b"data: [DONE]\n\n"
)
STREAMS = [(on_event, ANTHROPIC), (on_response_event, RESPONSES), (on_chat_event, CHAT)]


def test_a_stream_of_anthropic_tells_its_tokens_with_those_of_the_cache_apart() -> None:
    usage = read(on_event, ANTHROPIC)

    assert (usage.model, usage.told, usage.begun) == ("claude-opus-5", True, True)
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (360, 300, 77)
    assert (usage.written_tokens, usage.written_long_tokens) == (30, 20)


def test_the_input_may_be_told_again_at_the_end_of_a_stream() -> None:
    told = {"input_tokens": 12, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 0, "output_tokens": 8}
    usage = read(on_event, ANTHROPIC + sse({"type": "message_delta", "usage": told}))

    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (412, 400, 8)
    assert (usage.written_tokens, usage.written_long_tokens) == (0, 0)


def test_a_stream_of_responses_tells_its_tokens_at_its_end() -> None:
    usage = read(on_response_event, RESPONSES)

    assert usage == Usage("gpt-5.5-2026-04-23", 900, 800, 60, 0, 41, begun=True, told=True, text_bytes=9)


def test_a_stream_of_chat_tells_its_tokens_in_its_last_chunk() -> None:
    assert read(on_chat_event, CHAT) == Usage("gpt-4o", 20, 5, 0, 0, 9, begun=True, told=True, text_bytes=4)


WHOLE = [
    (on_body, {"type": "message", "model": "claude-opus-5", "content": [{"type": "text", "text": "x"}], "usage": ANTHROPIC_USAGE}, 360, 1),
    (on_response_body, {"model": "gpt-5", "output": [{"content": [{"text": "abc"}]}], "usage": RESPONSES_USAGE}, 900, 41),
    (on_chat_body, {"model": "gpt-5", "choices": [{"message": {"content": "abc"}}], "usage": CHAT_USAGE}, 20, 9),
]


@pytest.mark.parametrize(("fold", "body", "asked", "answered"), WHOLE)
def test_an_answer_in_one_piece_tells_its_tokens(fold: Fold, body: object, asked: int, answered: int) -> None:
    usage = whole(fold, body)

    assert (usage.input_tokens, usage.output_tokens, usage.told) == (asked, answered, True)


@pytest.mark.parametrize(("fold", "body"), STREAMS)
@given(data=st.data())
def test_however_a_stream_is_cut_into_pieces_it_reads_the_same(fold: Fold, body: bytes, data: st.DataObject) -> None:
    wanted = read(fold, body)
    body = body.replace(b"\n", b"\r\n") if data.draw(st.booleans()) else body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=30)))
    reader = EventReader(fold)
    for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        reader.feed(body[begin:end])

    assert reader.end() == wanted


@pytest.mark.parametrize(("fold", "body"), STREAMS)
def test_byte_by_byte_is_as_good_as_whole(fold: Fold, body: bytes) -> None:
    reader = EventReader(fold)
    for byte in body:
        reader.feed(bytes([byte]))

    assert reader.end() == read(fold, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "usage", "message", "model", "delta", "choices", "response", "input_tokens", "output_tokens", "error", "prompt_tokens",
         "completion_tokens", "cache_read_input_tokens", "input_tokens_details", "cached_tokens", "content", "tool_calls", "output"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
TYPES = ("message_start", "message_delta", "content_block_delta", "error", "response.completed", "response.x.delta", "response.created")


@given(body=JSON, kind=st.sampled_from(TYPES))
def test_no_answer_whatever_its_form_breaks_a_reader_or_makes_tokens_negative(body: object, kind: str) -> None:
    said = {**body, "type": kind} if isinstance(body, dict) else {"type": kind, "message": body, "response": body, "delta": body}
    for fold in (on_event, on_response_event, on_chat_event, on_body, on_response_body, on_chat_body):
        for usage in (read(fold, sse(said)), whole(fold, said)):
            assert min(usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.written_tokens) >= 0
            assert usage.cached_tokens + usage.written_tokens + usage.written_long_tokens <= usage.input_tokens


@given(st.binary(max_size=200))
def test_bytes_that_are_no_events_say_nothing(noise: bytes) -> None:
    assert read(on_event, noise).told is False


def test_an_event_beyond_the_bound_is_skipped_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST", 4096)
    large = sse({"type": "message_delta", "usage": {"output_tokens": 5}, "filler": "x" * 5000})

    assert read(on_event, large).told is False
    assert read(on_event, large + ANTHROPIC).output_tokens == 77


def bill(*pieces: bytes, status: int = 200, purpose: Purpose = Purpose.MESSAGES) -> Bill:
    shape = Shape.ANTHROPIC if purpose is Purpose.MESSAGES else Shape.OPENAI
    bill = Bill("r1", shape, purpose, 1.0)
    bill.asked(434, "claude-opus-5")
    bill.sent()
    bill.answered(status, "text/event-stream")
    for piece in pieces:
        bill.passes(piece, 1.25)
    return bill


def test_an_answer_that_told_its_tokens_is_billed_by_them() -> None:
    fact = bill(ANTHROPIC).fact(Prices(), 2.0)

    assert fact is not None
    assert (fact.input_tokens, fact.cached_tokens, fact.output_tokens, fact.estimated, fact.priced) == (360, 300, 77, False, True)
    assert (fact.first_byte_ms, fact.took_ms, fact.status, fact.shape, fact.request) == (250, 1000, 200, "anthropic", "r1")


def test_an_answer_cut_after_its_beginning_keeps_its_input_and_estimates_the_rest() -> None:
    fact = bill(ANTHROPIC[: ANTHROPIC.index(b"message_delta") - 10]).fact(Prices(), 2.0)

    assert fact is not None
    assert (fact.input_tokens, fact.estimated) == (360, True)
    assert fact.output_tokens == -(-len('grüße, a "usage" of words'.encode() + b'{"a":1}') // 4)
    assert fact.usd > 0


def test_an_answer_that_never_came_is_estimated_by_what_was_asked() -> None:
    fact = bill(b"").fact(Prices(), 2.0)

    assert fact is not None
    assert (fact.input_tokens, fact.output_tokens, fact.estimated, fact.model) == (109, 0, True, "claude-opus-5")


def test_a_model_that_is_called_like_a_secret_is_booked_under_another_name() -> None:
    named = Bill("r1", Shape.ANTHROPIC, Purpose.MESSAGES, 1.0)
    named.asked(100, "ghp_" + "a1B2" * 9)
    named.sent()
    fact = named.fact(Prices(), 2.0)

    assert fact is not None
    assert fact.model == "[redacted:github-token]"


def test_a_refusal_costs_nothing() -> None:
    assert bill(b'{"type":"error"}', status=529).fact(Prices(), 2.0) is None
    assert bill(sse({"type": "error", "error": {"type": "overloaded_error"}})).fact(Prices(), 2.0) is None


def test_an_error_after_the_answer_began_is_not_free() -> None:
    begun = ANTHROPIC[: ANTHROPIC.index(b"event: x", 10)]
    fact = bill(begun, sse({"type": "error", "error": {"type": "overloaded_error"}})).fact(Prices(), 2.0)

    assert fact is not None
    assert (fact.input_tokens, fact.output_tokens, fact.estimated) == (360, 1, True)


def test_what_never_reached_the_model_costs_nothing() -> None:
    unsent = Bill("r1", Shape.ANTHROPIC, Purpose.MESSAGES, 1.0)
    unsent.asked(2, "")
    lost = bill()
    lost.unreached()

    assert unsent.fact(Prices(), 2.0) is None
    assert lost.fact(Prices(), 2.0) is None


def test_a_failed_response_that_tells_its_tokens_is_billed_by_them() -> None:
    failed = sse({"type": "response.failed", "response": {"error": {"code": "x"}, "usage": {"input_tokens": 3, "output_tokens": 0}}})
    fact = bill(failed, purpose=Purpose.RESPONSES).fact(Prices(), 2.0)

    assert fact is not None
    assert (fact.input_tokens, fact.estimated) == (3, False)
