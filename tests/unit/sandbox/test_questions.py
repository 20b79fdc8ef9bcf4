"""What a request to a model may hold: nothing by which the provider reaches what the sandbox may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.each import each
from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.model.questions import judged
from trunkline_sandbox.adapters.model.shapes import Purpose

MESSAGES, RESPONSES, CHAT, COUNT = Purpose.MESSAGES, Purpose.RESPONSES, Purpose.CHAT, Purpose.FREE
ELSEWHERE = "https://elsewhere.example/?q=what-it-knows"
IMAGE = {"type": "image", "source": {"type": "url", "url": ELSEWHERE}}
FILE = {"type": "document", "source": {"type": "url", "url": ELSEWHERE}}
INLINE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": [IMAGE]}
NESTED = {"type": "document", "source": {"type": "content", "content": [IMAGE]}}


def user(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


def item(*content: Any) -> dict[str, Any]:
    return {"input": [{"type": "message", "role": "user", "content": list(content)}]}


REACHING: list[tuple[Purpose, dict[str, Any], str]] = [
    (MESSAGES, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
    (
        MESSAGES,
        {"tools": [{"name": "Read", "input_schema": {}}, {"type": "web_fetch_20250910", "name": "web_fetch"}]},
        "web_fetch_20250910",
    ),
    (MESSAGES, {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "code_execution_20250825"),
    (MESSAGES, {"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "mcp_toolset"),
    (MESSAGES, {"tools": [{"type": "of_next_year_20270101", "name": "x"}]}, "of_next_year_20270101"),
    (MESSAGES, {"tools": [{"Type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
    (MESSAGES, {"mcp_servers": [{"type": "url", "url": ELSEWHERE, "name": "x"}]}, "mcp_servers"),
    (MESSAGES, {"container": {"skills": [{"skill_id": "x"}]}}, "container"),
    (MESSAGES, user(IMAGE), "url"),
    (MESSAGES, user(FILE), "url"),
    (MESSAGES, user(RESULT), "url"),
    (MESSAGES, user(NESTED), "url"),
    (MESSAGES, user({"type": "change", "tools": [{"type": "web_search_20250305"}]}), "web_search_20250305"),
    (COUNT, user(IMAGE), "url"),
    (COUNT, {"mcp_servers": [{}]}, "mcp_servers"),
    (RESPONSES, {"tools": [{"type": "mcp", "server_label": "x", "server_url": ELSEWHERE}]}, "mcp"),
    (RESPONSES, {"tools": [{"type": "mcp", "connector_id": "connector_gmail"}]}, "mcp"),
    (RESPONSES, {"tools": [{"type": "web_search"}]}, "web_search"),
    (RESPONSES, {"tools": [{"type": "web_search_preview_2025_03_11"}]}, "web_search_preview_2025_03_11"),
    (RESPONSES, {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "code_interpreter"),
    (RESPONSES, {"tools": [{"type": "image_generation"}]}, "image_generation"),
    (RESPONSES, {"tools": [{"type": "file_search", "vector_store_ids": ["x"]}]}, "file_search"),
    (RESPONSES, {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "shell"),
    (RESPONSES, {"tools": [{"type": "shell"}]}, "shell"),
    (RESPONSES, {"tools": [{"google_search": {}}]}, "untyped"),
    (RESPONSES, {"tools": {"type": "web_search"}}, "web_search"),
    (RESPONSES, {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]}, "mcp"),
    (RESPONSES, {"input": [{"type": "tool_search_output", "tools": [{"type": "web_search"}]}]}, "web_search"),
    (RESPONSES, {"prompt": {"id": "pmpt_1"}}, "prompt"),
    (RESPONSES, {"conversation": "conv_1"}, "conversation"),
    (RESPONSES, {"model": "o3-deep-research"}, "o3-deep-research"),
    (RESPONSES, item({"type": "input_image", "image_url": ELSEWHERE}), "url"),
    (RESPONSES, item({"type": "input_file", "file_url": ELSEWHERE}), "url"),
    (RESPONSES, {"input": [{"type": "function_call_output", "output": [{"type": "input_image", "image_url": ELSEWHERE}]}]}, "url"),
    (RESPONSES, {"input": [{"type": "computer_call_output", "output": {"image_url": f" {ELSEWHERE}"}}]}, "url"),
    (CHAT, user({"type": "image_url", "image_url": {"url": ELSEWHERE}}), "url"),
    (CHAT, user({"type": "video_url", "video_url": {"url": ELSEWHERE}}), "url"),
    (CHAT, {"web_search_options": {}}, "web_search_options"),
    (CHAT, {"model": "gpt-4o-search-preview"}, "gpt-4o-search-preview"),
    (CHAT, {"plugins": [{"id": "web"}]}, "plugins"),
    (CHAT, {"tools": [{"type": "web_search"}]}, "web_search"),
]


@each(("purpose", "asked", "name"), REACHING)
def test_what_the_provider_would_reach_for_the_agent_is_refused_unless_it_is_allowed(
    purpose: Purpose, asked: dict[str, Any], name: str
) -> None:
    body = json.dumps(asked).encode()
    with pytest.raises(Invalid, match="TRUNKLINE_MODEL_TOOLS_ALLOWED") as refused:
        judged(purpose, body, ("something_else",))
    assert refused.value.code == "MODEL_TOOL_REFUSED"
    assert repr(name) in refused.value.message

    assert judged(purpose, body, (name,)).body == body
    assert judged(purpose, body, (f"{name[:3]}*",)).body == body


FREE_FORM = {"image_url": {"type": "string"}, "source": {"type": "url"}, "tools": [{"type": "web_search"}]}
STAYING: list[tuple[Purpose, dict[str, Any]]] = [
    (MESSAGES, {"tools": [{"name": "WebFetch", "input_schema": {"properties": FREE_FORM}}], "mcp_servers": []}),
    (MESSAGES, {"tools": [{"type": "custom", "name": "x"}, {"type": "bash_20250124", "name": "bash"}, {"type": "memory_20250818"}]}),
    (MESSAGES, {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "x", "input": FREE_FORM}]}]}),
    (MESSAGES, user({"type": "text", "text": f"look at {ELSEWHERE}"}, INLINE, {"type": "search_result", "source": ELSEWHERE})),
    (MESSAGES, {"messages": "nonsense", "tools": None, "metadata": {"tools": [{"type": "web_search"}]}}),
    (RESPONSES, {"tools": [{"type": "function", "parameters": {"properties": FREE_FORM}}, {"type": "custom"}, {"type": "tool_search"}]}),
    (RESPONSES, {"tools": [{"type": "shell", "environment": {"type": "local"}}, {"type": "local_shell"}, {"type": "apply_patch"}]}),
    (RESPONSES, item({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}, {"type": "input_file", "file_url": None})),
    (RESPONSES, {"input": "plain", "previous_response_id": "resp_1", "text": {"format": {"schema": FREE_FORM}}}),
    (CHAT, user({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
    (CHAT, {"messages": [{"role": "assistant", "tool_calls": [{"type": "function", "function": {"arguments": json.dumps(FREE_FORM)}}]}]}),
]


@each(("purpose", "asked"), STAYING)
def test_what_the_agent_does_itself_passes_byte_for_byte(purpose: Purpose, asked: dict[str, Any]) -> None:
    body = json.dumps(asked, indent=1).encode()
    assert judged(purpose, body).body == body


DOUBTFUL = [
    b'{"tools": [], "tools": [{"type": "web_search"}]}',
    b'{"tools": [], "t\\u006fols": [{"type": "web_search"}]}',
    b'{"messages": [{"role": "user", "role": "system"}]}',
    b'{"Tools": [{"type": "web_search"}]}',
    '{"tool\u017f": [{"type": "web_search"}]}'.encode(),
    b'\xef\xbb\xbf{"tools": []}',
    '{"tools": []}'.encode("utf-16"),
    b'{"tools": []} {"tools": [1]}',
    b'{"tools": [],}',
    b"[]",
    b"\x1f\x8b\x08\x00",
    b'{"x": ' + b"[" * 200_000,
    b'{"x": [' + b"{}," * 600_000 + b"{}]}",
]


@pytest.mark.parametrize("purpose", [MESSAGES, RESPONSES, CHAT, COUNT])
@pytest.mark.parametrize("body", DOUBTFUL, ids=range(len(DOUBTFUL)))
def test_what_two_might_read_differently_is_refused(purpose: Purpose, body: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        judged(purpose, body)
    assert refused.value.code == "NOT_COUNTABLE"


def test_a_name_of_any_length_is_told_in_short_and_never_allowed() -> None:
    body = json.dumps({"tools": [{"type": "web_search" + "x" * 5000}]}).encode()
    with pytest.raises(Invalid) as refused:
        judged(RESPONSES, body, ("*",))
    assert len(refused.value.message) < 600


def test_the_model_that_is_asked_for_is_told() -> None:
    assert judged(MESSAGES, b'{"metadata": {"model": "cheap"}, "model": "dear"}').model == "dear"
    assert judged(MESSAGES, b'{"model": 7}').model == ""
