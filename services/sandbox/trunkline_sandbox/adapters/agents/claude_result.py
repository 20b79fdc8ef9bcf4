"""What Claude Code's last line says of its end; neither its subtype nor the exit code is believed alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from trunkline.contracts.run import Usage
from trunkline_sandbox.adapters.agents.judging import shorten
from trunkline_sandbox.adapters.agents.wording import one_line
from trunkline_sandbox.model import Ending

Body = Mapping[str, object]

_ENDS: dict[str, tuple[str, str]] = {
    "max_turns": ("AGENT_TURN_LIMIT", "Claude Code used up its turns; raise the limit or ask for less"),
    "budget_exhausted": ("AGENT_BUDGET", "Claude Code used up its budget; raise the limit or ask for less"),
    "aborted_tools": ("AGENT_INTERRUPTED", "Claude Code was interrupted before it ended"),
    "aborted_streaming": ("AGENT_INTERRUPTED", "Claude Code was interrupted before it ended"),
}
_NO_SESSION = "No conversation found"
_TOKENS_IN = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")


def read_result(body: Body, *, interrupted: bool = False) -> Ending:
    """The ending that a line of type `result` tells. Denied tools leave it ok, with the code AGENT_DENIED and a sentence.

    `interrupted`: somebody wanted the turn to end, so trying it again is not what they want.
    """
    summary, usage = shorten(_text(body.get("result"))), _usage(body)
    if body.get("is_error") is not False or body.get("subtype") != "success":
        ending = _failure(body)
        recoverable = ending.recoverable and not (interrupted and ending.code == "AGENT_INTERRUPTED")
        return replace(ending, recoverable=recoverable, summary=summary, usage=usage)
    if denied := _denied(body):
        return Ending(ok=True, code="AGENT_DENIED", error=denied, summary=summary, usage=usage)
    return Ending(ok=True, summary=summary, usage=usage)


def credential_refused(status: object) -> Ending | None:
    """The ending that a refused credential leads to, however often Claude Code tries again."""
    if status not in (401, 403):
        return None
    sentence = f"the model API refused the credential ({status}); set ANTHROPIC_API_KEY to a key that is valid for ANTHROPIC_BASE_URL"
    return Ending(ok=False, code="MODEL_AUTH_FAILED", error=sentence)


def _failure(body: Body) -> Ending:
    reason, told = _text(body.get("terminal_reason")), _told(body)
    if _NO_SESSION in told:
        sentence = f"Claude Code does not have the conversation that it should go on with: {told}; trying again begins a new one"
        return Ending(ok=False, code="AGENT_SESSION_LOST", error=sentence, recoverable=True)
    if reason == "api_error":
        return _api_failure(body.get("api_error_status"), told)
    code, sentence = _ENDS.get(reason, ("AGENT_FAILED", f"Claude Code failed ({one_line(reason or _text(body.get('subtype')), 80)})"))
    return Ending(ok=False, code=code, error=f"{sentence}: {told}" if told else sentence, recoverable=code == "AGENT_INTERRUPTED")


def _api_failure(status: object, told: str) -> Ending:
    if refused := credential_refused(status):
        return refused
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 409, 429):
        return Ending(ok=False, code="MODEL_REQUEST_REFUSED", error=f"the model API refused the request ({status}): {told}")
    answer = f"answered {status}" if isinstance(status, int) else "could not be reached"
    sentence = f"the model API {answer} until Claude Code gave up ({told}); trying again later may help"
    return Ending(ok=False, code="MODEL_UNAVAILABLE", error=sentence, recoverable=True)


def _told(body: Body) -> str:
    errors = body.get("errors")
    texts = [text for text in errors if isinstance(text, str)] if isinstance(errors, list) else []
    return one_line("; ".join(texts) or _text(body.get("result")), 500)


def _denied(body: Body) -> str:
    denials = body.get("permission_denials")
    if not isinstance(denials, list) or not denials:
        return ""
    names = sorted({one_line(_text(denial.get("tool_name")), 40) for denial in denials if isinstance(denial, Mapping)})
    calls = "one tool call" if len(denials) == 1 else f"{len(denials)} tool calls"
    return one_line(f"Claude Code was denied {calls} ({', '.join(names)}), so its work may be incomplete", 500)


def _usage(body: Body) -> Usage:
    """Summed over the models used; `model` is the one that wrote most. Input counts what came from the cache too."""
    table = body.get("modelUsage")
    rows = {name: row for name, row in table.items() if isinstance(row, Mapping)} if isinstance(table, Mapping) else {}
    cost = body.get("total_cost_usd")
    if not rows:
        return Usage()
    main = max(rows, key=lambda name: _count(rows[name].get("outputTokens")))
    return Usage(
        model=one_line(main, 100),
        input_tokens=sum(_count(row.get(field)) for row in rows.values() for field in _TOKENS_IN),
        output_tokens=sum(_count(row.get("outputTokens")) for row in rows.values()),
        cost_usd=float(cost) if isinstance(cost, int | float) and 0 <= cost < 1e9 and math.isfinite(cost) else None,
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 10**15 else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
