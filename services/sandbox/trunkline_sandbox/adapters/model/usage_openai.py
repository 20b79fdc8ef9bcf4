"""What an answer of the OpenAI APIs, Responses and Chat Completions, says about its tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trunkline_sandbox.adapters.model.usage import Said, Usage, part, parts, size, tokens, word

_LAST: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def on_response_event(usage: Usage, event: Said) -> Usage:
    """One event of a stream of the Responses API."""
    kind = word(event, "type")
    if kind in _LAST:
        return _response(usage, part(event, "response"))
    if kind == "error":
        return replace(usage, failed=True)
    if kind.endswith(".delta"):
        return replace(usage, text_bytes=usage.text_bytes + size(event.get("delta")))
    if model := word(part(event, "response"), "model"):
        return replace(usage, model=model[:200])
    return usage


def on_response_body(usage: Usage, body: Said) -> Usage:
    """A whole answer of the Responses API."""
    passed = sum(size(block.get("text")) for item in parts(body, "output") for block in parts(item, "content"))
    called = sum(size(item.get("arguments"), item.get("input")) for item in parts(body, "output"))
    return _response(replace(usage, text_bytes=passed + called), body)


def on_chat_event(usage: Usage, chunk: Said) -> Usage:
    """One chunk of a stream of Chat Completions; the last one holds the usage."""
    passed = sum(_chat_text(part(choice, "delta")) for choice in parts(chunk, "choices"))
    return _chat(replace(usage, text_bytes=usage.text_bytes + passed), chunk)


def on_chat_body(usage: Usage, body: Said) -> Usage:
    """A whole answer of Chat Completions."""
    passed = sum(_chat_text(part(choice, "message")) for choice in parts(body, "choices"))
    return _chat(replace(usage, text_bytes=passed), body)


def _response(usage: Usage, response: Said) -> Usage:
    named = replace(usage, model=word(response, "model")[:200] or usage.model, failed=bool(part(response, "error")))
    told = part(response, "usage")
    if "output_tokens" not in told:
        return named
    return _counted(named, told, ("input_tokens", "input_tokens_details", "output_tokens"))


def _chat(usage: Usage, chunk: Said) -> Usage:
    named = replace(usage, model=word(chunk, "model")[:200] or usage.model, failed=usage.failed or bool(part(chunk, "error")))
    told = part(chunk, "usage")
    if "completion_tokens" not in told:
        return named
    return _counted(named, told, ("prompt_tokens", "prompt_tokens_details", "completion_tokens"))


def _counted(usage: Usage, told: Said, names: tuple[str, str, str]) -> Usage:
    asked = tokens(told, names[0])
    details = part(told, names[1])
    cached = min(tokens(details, "cached_tokens"), asked)
    return replace(
        usage,
        input_tokens=asked,
        cached_tokens=cached,
        written_tokens=min(tokens(details, "cache_write_tokens"), asked - cached),
        output_tokens=tokens(told, names[2]),
        begun=True,
        told=True,
    )


def _chat_text(said: Said) -> int:
    calls = [part(call, "function").get("arguments") for call in parts(said, "tool_calls")]
    return size(said.get("content"), said.get("reasoning_content"), said.get("refusal"), *calls)
