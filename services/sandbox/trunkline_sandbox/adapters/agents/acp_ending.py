"""What the answer to a prompt says of the end of a turn, over the Agent Client Protocol."""

from __future__ import annotations

import re

from trunkline_sandbox.adapters.agents.jsonrpc import Answer, Body, mapping, string
from trunkline_sandbox.adapters.agents.wording import one_line
from trunkline_sandbox.model import Ending

_STOPS: dict[str, tuple[str, str]] = {
    "cancelled": ("AGENT_INTERRUPTED", "was interrupted before it ended"),
    "max_tokens": ("AGENT_TURN_LIMIT", "used up the tokens of its turn; ask for less"),
    "max_turn_requests": ("AGENT_TURN_LIMIT", "used up its turns; raise the limit or ask for less"),
    "refusal": ("MODEL_REQUEST_REFUSED", "stopped, because its model refused to go on"),
}
_CREDENTIAL = re.compile(r"credential|api.?key|unauthori[sz]ed|authentication|\b40[13]\b", re.IGNORECASE)
_REFUSED = re.compile(r"\b4(?:0[0245-7]|1\d|2[0-8])\b|context|too (?:long|large)", re.IGNORECASE)
_MODEL = ("APIError", "ProviderAuthError", "UnknownError", "MessageOutputLengthError", "ContextOverflowError")


def of_turn(answer: Answer, summary: str, called: str, variable: str) -> Ending:
    """`called` is the name of the program; `variable` is how the variables of the model's key and address begin."""
    if answer.error is not None:
        return _failure(answer.error, called, variable)
    reason = string(answer.result.get("stopReason"))
    if reason in ("end_turn", ""):
        return Ending(ok=True, summary=summary)
    code, sentence = _STOPS.get(reason, ("AGENT_FAILED", f"stopped ({one_line(reason, 80)})"))
    return Ending(ok=False, code=code, error=f"{called} {sentence}", summary=summary)


def no_conversation(error: Body, called: str, *, known: bool) -> Ending:
    """The ending when there is no conversation to work in; `known` when it was one to go on with."""
    told = _told(error)
    if known:
        sentence = f"{called} does not have the conversation that it should go on with: {told}; trying again begins a new one"
        return Ending(ok=False, code="AGENT_SESSION_LOST", error=sentence, recoverable=True)
    return Ending(ok=False, code="AGENT_FAILED", error=f"{called} could not begin: {told}")


def _failure(error: Body, called: str, variable: str) -> Ending:
    """The protocol has no code for what went wrong, so its words are looked at."""
    told, name = _told(error), string(mapping(error.get("data")).get("errorName"))
    if name == "ProviderAuthError" or (name in _MODEL and _CREDENTIAL.search(told)):
        sentence = f"the model API refused the credential ({told}); set {variable}_API_KEY to a key that is valid for {variable}_BASE_URL"
        return Ending(ok=False, code="MODEL_AUTH_FAILED", error=sentence)
    if name in ("MessageOutputLengthError", "ContextOverflowError") or (name in _MODEL and _REFUSED.search(told)):
        return Ending(ok=False, code="MODEL_REQUEST_REFUSED", error=f"the model API refused the request: {told}")
    if name in _MODEL:
        sentence = f"the model API did not answer as it should until {called} gave up ({told}); trying again later may help"
        return Ending(ok=False, code="MODEL_UNAVAILABLE", error=sentence, recoverable=True)
    if name == "MessageAbortedError":
        return Ending(ok=False, code="AGENT_INTERRUPTED", error=f"{called} was interrupted before it ended")
    return Ending(ok=False, code="AGENT_FAILED", error=f"{called} failed: {told}")


def _told(error: Body) -> str:
    return one_line(string(error.get("message")) or "it did not say why", 500)
