"""What an answer of the Anthropic Messages API says about its tokens."""

from __future__ import annotations

from dataclasses import replace

from trunkline_sandbox.adapters.model.usage import Said, Usage, part, parts, size, tokens, word


def on_event(usage: Usage, event: Said) -> Usage:
    """One event of a stream."""
    match event.get("type"):
        case "message_start":
            message = part(event, "message")
            return replace(_counted(usage, part(message, "usage")), model=word(message, "model")[:200], begun=True)
        case "message_delta":
            told = part(event, "usage")
            return replace(_counted(usage, told), told=True) if "output_tokens" in told else usage
        case "content_block_start":
            block = part(event, "content_block")
            return replace(usage, text_bytes=usage.text_bytes + size(block.get("text"), block.get("thinking")))
        case "content_block_delta":
            delta = part(event, "delta")
            passed = size(delta.get("text"), delta.get("thinking"), delta.get("partial_json"))
            return replace(usage, text_bytes=usage.text_bytes + passed)
        case "error":
            return replace(usage, failed=True)
    return usage


def on_body(usage: Usage, body: Said) -> Usage:
    """A whole answer."""
    if body.get("type") == "error":
        return replace(usage, failed=True)
    told = part(body, "usage")
    passed = sum(size(block.get("text"), block.get("thinking")) for block in parts(body, "content"))
    counted = _counted(replace(usage, model=word(body, "model")[:200], text_bytes=passed), told)
    return replace(counted, begun="input_tokens" in told, told="output_tokens" in told)


def _counted(usage: Usage, told: Said) -> Usage:
    """The newest numbers count: those of a stream are sums, and what is not told again stays."""
    written_before = usage.written_tokens + usage.written_long_tokens
    plain = tokens(told, "input_tokens", usage.input_tokens - usage.cached_tokens - written_before)
    cached = tokens(told, "cache_read_input_tokens", usage.cached_tokens)
    written = tokens(told, "cache_creation_input_tokens", written_before)
    lasting = tokens(part(told, "cache_creation"), "ephemeral_1h_input_tokens", usage.written_long_tokens)
    lasting = min(lasting, written)
    return replace(
        usage,
        input_tokens=plain + cached + written,
        cached_tokens=cached,
        written_tokens=written - lasting,
        written_long_tokens=lasting,
        output_tokens=tokens(told, "output_tokens", usage.output_tokens),
    )
