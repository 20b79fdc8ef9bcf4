"""How a handler's work ended, and what is reported of that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from inspect import iscoroutine
from typing import Final

from pydantic_core import to_json, to_jsonable_python

from trunkline.contracts.agent import MOST_RESULT, AgentReported, Held, Report
from trunkline.sdk.agents.context import Cancelled
from trunkline.sdk.agents.failing import PayloadError, RefusedError, TaskError, UnansweredError, readable, words_of

MOST_ERROR: Final = 4000
LEASE_LOST: Final = "lease_lost"
DRAINING: Final = "draining"


@dataclass(frozen=True, slots=True)
class Returned:
    value: object


@dataclass(frozen=True, slots=True)
class Raised:
    error: BaseException


@dataclass(frozen=True, slots=True)
class Ended:
    """By a CancelledError, from whomever."""


Outcome = Returned | Raised | Ended


def report_of(held: Held, outcome: Outcome, why: Cancelled | None) -> Report | None:
    """What the control plane is told; None: nothing, as the task is somebody else's. `why`: it was to end. Pure."""
    if why is not None and why.cause == LEASE_LOST:
        return None
    if why is not None and why.cause != DRAINING:
        return _report(held, AgentReported.STOPPED, error=_cut(str(why)))
    match outcome:
        case Returned(value):
            return _succeeded(held, value)
        case Raised(error) if why is None:
            return _failed(held, error)
        case Ended() if why is None:
            error = TaskError("the handler ended itself by a CancelledError that nobody wished for", mendable=True)
            return _failed(held, error)
    return _report(held, AgentReported.RELEASED)


def _succeeded(held: Held, value: object) -> Report:
    if iscoroutine(value):
        value.close()
        sentence = "the handler is a plain function and returned a coroutine, which nobody awaits: write `async def`, in a decorator too"
        return _report(held, AgentReported.FAILED, code="RESULT_NOT_JSON", error=sentence, mendable=False)
    try:
        result = to_jsonable_python(value)
        written = to_json(result, inf_nan_mode="constants")
        if b"NaN" in written or b"Infinity" in written:  # perhaps in a text only
            json.dumps(result, allow_nan=False)
    except Exception as error:  # serializers are the handler's too
        why = words_of(error)
        sentence = f"the handler returned what is no JSON ({type(value).__name__}): return plain values or a pydantic model ({why})"
        return _report(held, AgentReported.FAILED, code="RESULT_NOT_JSON", error=_cut(sentence), mendable=False)
    if len(written) > MOST_RESULT:
        sentence = (
            f"the handler returned {len(written)} bytes of JSON, and {MOST_RESULT} are taken: keep it elsewhere and return its address"
        )
        return _report(held, AgentReported.FAILED, code="RESULT_TOO_LARGE", error=sentence, mendable=False)
    return _report(held, AgentReported.SUCCEEDED, result=result)


def _failed(held: Held, error: BaseException) -> Report:
    code, sentence, mendable = _verdict(error)
    return _report(held, AgentReported.FAILED, code=code, error=_cut(sentence), mendable=mendable)


def _verdict(error: BaseException) -> tuple[str, str, bool]:
    match error:
        case PayloadError():
            return "BAD_PAYLOAD", words_of(error), False
        case UnansweredError():
            return "UNANSWERED", words_of(error), error.mendable
        case TaskError():
            return "", words_of(error), error.mendable
        case RefusedError():
            return error.code, readable(error.message), True
    return "HANDLER_RAISED", f"the handler raised {type(error).__name__}: {words_of(error)}", True


def _cut(sentence: str) -> str:
    """The mark at the end tells the control plane that a secret may have been cut in two there."""
    return sentence if len(sentence) <= MOST_ERROR else f"{sentence[: MOST_ERROR - 1]}…"


def _report(held: Held, reported: AgentReported, **rest: object) -> Report:
    return Report.model_validate({"task_id": held.task_id, "lease": held.lease, "reported": reported, **rest})
