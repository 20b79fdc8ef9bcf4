"""Reads from the signature of a handler what it wants to be given, and makes that of a task's payload."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NotRequired, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import TypedDict  # pydantic reads Python's own from 3.12 on

from trunkline.sdk.agents.context import BlockingContext, Context
from trunkline.sdk.agents.failing import AgentError, PayloadError

Function = Callable[..., Any]
CONTEXTS: Final = (Context, BlockingContext)
_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_MOST_FAULTS: Final = 8


@dataclass(frozen=True, slots=True)
class Handler:
    """A function of the user's as it is called. `payload`: the parameter that takes all of it; None: each field has one of its own."""

    name: str
    function: Function
    awaits: bool
    context: str | None
    payload: str | None
    reads: TypeAdapter[Any]

    def arguments(self, payload: Mapping[str, object], context: Context | BlockingContext) -> dict[str, Any]:
        """What the function is called with. Raises PayloadError, which names every fault and repeats nothing of what was sent."""
        try:
            read = self.reads.validate_json(json.dumps(payload))
        except ValidationError as error:
            raise PayloadError(f"{self.name}() does not take this payload: {_faults(error)}") from None
        given = {self.payload: read} if self.payload else dict(read)
        return given | ({self.context: context} if self.context else {})


def handler_of(function: Function, known: Mapping[str, Any]) -> Handler:
    """`known` are names that annotations may use beside the function's own. Raises AgentError for what can be no handler."""
    name = getattr(function, "__name__", type(function).__name__)
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise AgentError(f"{name}() yields, and a handler returns one result: say the rest with ctx.say(…)")
    parameters, hints = _parameters(function, name), _hints(function, name, known)
    contexts = [each for each in parameters if hints.get(each) in CONTEXTS or (each == "ctx" and each not in hints)]
    if len(contexts) > 1:
        raise AgentError(f"{name}() takes {len(contexts)} contexts; it has only one")
    awaits = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    _check_context(name, hints.get(contexts[0]) if contexts else None, awaits=awaits)
    fields = {each: parameter for each, parameter in parameters.items() if each not in contexts}
    whole = next(iter(fields)) if len(fields) == 1 and _is_whole(hints.get(next(iter(fields)))) else None
    try:
        reads = TypeAdapter(hints[whole] if whole else _fields(fields, hints))
    except PydanticUserError as error:
        raise AgentError(f"{name}() has a parameter that no JSON can become: {error.message.splitlines()[0]}") from None
    return Handler(name, function, awaits, contexts[0] if contexts else None, whole, reads)


def _parameters(function: Function, name: str) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(function).parameters)
    for each in found.values():
        if each.kind not in _NAMED:
            raise AgentError(f"{name}() takes {each}; each parameter of a handler has a name, by which it is given")
    return found


def _hints(function: Function, name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, localns=dict(known), include_extras=True)
    except NameError as error:
        raise AgentError(f"the annotations of {name}() cannot be read ({error}): name what is known where it is defined") from None


def _check_context(name: str, hint: object, *, awaits: bool) -> None:
    if hint is Context and not awaits:
        raise AgentError(f"{name}() is no coroutine and takes a Context: annotate BlockingContext, or write `async def`")
    if hint is BlockingContext and awaits:
        raise AgentError(f"{name}() is a coroutine and takes a BlockingContext, which would block all others: annotate Context")


def _is_whole(hint: Any) -> bool:
    """Whether a single parameter of that type takes the payload as it is, and not one field of it."""
    kind = get_origin(hint) or hint
    if hint is Any or not isinstance(kind, type):
        return hint is Any
    return is_typeddict(kind) or dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel | Mapping)


def _fields(fields: Mapping[str, inspect.Parameter], hints: Mapping[str, Any]) -> Any:
    """A payload with a field for each parameter; what else is in it is nobody's."""
    kinds = {each: hints.get(each, Any) for each in fields}
    made = {each: kinds[each] if fields[each].default is inspect.Parameter.empty else NotRequired[kinds[each]] for each in fields}
    return TypedDict("Payload", made)  # type: ignore[operator]


def _faults(error: ValidationError) -> str:
    """Where and what, and never a value of the sender's."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg'].lower()}" for fault in found[:_MOST_FAULTS]]
    more = f"; and {len(found) - _MOST_FAULTS} more" if len(found) > _MOST_FAULTS else ""
    return "; ".join(said) + more
