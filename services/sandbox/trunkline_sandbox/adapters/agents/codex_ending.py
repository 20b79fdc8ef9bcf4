"""What the end of a Codex turn says; the exit code of its program says nothing."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline_sandbox.adapters.agents.jsonrpc import Body, mapping, string
from trunkline_sandbox.adapters.agents.wording import one_line
from trunkline_sandbox.model import Ending

_AWAY = frozenset({"serverOverloaded", "internalServerError", "rateLimitExceeded", "flexUnavailable", "policyCapacityUnavailable"})
_REFUSED = frozenset(
    {"badRequest", "contextWindowExceeded", "modelNotFound", "cyberPolicy", "misalignmentPolicyViolation", "usageLimitExceeded"}
)
_NO_THREAD = ("no rollout found", "not found", "missing source rollout", "invalid thread id")


def of_turn(turn: Body, summary: str) -> Ending:
    """The ending that `turn/completed` tells."""
    match turn.get("status"):
        case "completed":
            return Ending(ok=True, summary=summary)
        case "interrupted":
            return Ending(ok=False, code="AGENT_INTERRUPTED", error="Codex was interrupted before it ended", summary=summary)
        case _:
            return failure(mapping(turn.get("error")))


def failure(error: Body) -> Ending:
    """The ending that an error leads to which Codex does not try again."""
    kind, status = _kind(error.get("codexErrorInfo"))
    told = _told(error)
    if status in (401, 403) or kind == "unauthorized" or "authentication_error" in told or "permission_error" in told:
        sentence = f"the model API refused the credential ({status or kind}); set OPENAI_API_KEY to a key that is valid for OPENAI_BASE_URL"
        return Ending(ok=False, code="MODEL_AUTH_FAILED", error=sentence)
    if kind in _REFUSED or (status is not None and 400 <= status < 500 and status not in (408, 409, 429)):
        return Ending(ok=False, code="MODEL_REQUEST_REFUSED", error=f"the model API refused the request ({status or kind}): {told}")
    if kind in _AWAY or status is not None or kind.startswith(("response", "http")) or told.startswith("stream disconnected"):
        answer = f"answered {status}" if status is not None else "did not answer as it should"
        sentence = f"the model API {answer} until Codex gave up ({told}); trying again later may help"
        return Ending(ok=False, code="MODEL_UNAVAILABLE", error=sentence, recoverable=True)
    if told.startswith("{"):  # the body of an answer 400, as it came
        return Ending(ok=False, code="MODEL_REQUEST_REFUSED", error=f"the model API refused the request: {told}")
    return Ending(ok=False, code="AGENT_FAILED", error=f"Codex failed ({kind or 'it did not say why'}): {told}")


def no_conversation(error: Body) -> Ending:
    """The ending when there is no conversation to work in."""
    told = one_line(string(error.get("message")), 500)
    if any(words in told for words in _NO_THREAD):
        sentence = f"Codex does not have the conversation that it should go on with: {told}; trying again begins a new one"
        return Ending(ok=False, code="AGENT_SESSION_LOST", error=sentence, recoverable=True)
    return Ending(ok=False, code="AGENT_FAILED", error=f"Codex could not begin: {told or 'it did not say why'}")


def retrying(error: Body) -> str:
    """The sentence for people while Codex tries again."""
    _, status = _kind(error.get("codexErrorInfo"))
    answered = f"answered {status}" if status is not None else "did not answer as it should"
    return one_line(f"the model API {answered}; {string(error.get('message'))}")


def _kind(info: object) -> tuple[str, int | None]:
    """Its name, and the status of HTTP where one was seen."""
    if isinstance(info, Mapping) and info:
        name = next(iter(info))
        status = mapping(info[name]).get("httpStatusCode")
        return str(name), status if isinstance(status, int) else None
    return string(info), None


def _told(error: Body) -> str:
    text = string(error.get("message")) or string(error.get("additionalDetails"))
    return one_line(text, 500)
