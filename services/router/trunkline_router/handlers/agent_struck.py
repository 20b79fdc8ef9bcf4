"""Strikes secrets out of what agents on NATS say, before anything of it is stored: as at the doors of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from pydantic import JsonValue

from trunkline.contracts.agent import Approve, Ask, Item, Publish, Report, Say, Submit
from trunkline.contracts.message import Message
from trunkline.telemetry import struck

WORDS: Final[Mapping[type[Message], set[str]]] = {
    Say: {"id", "items"},
    Report: {"code", "error", "result", "said"},
    Ask: {"question", "about"},
    Approve: {"title", "about"},
    Submit: {"type", "payload", "metadata", "prompt", "repo", "branch"},
    Publish: {"event_type", "source", "payload", "trace_id"},
}
"""What is stored of each as it was said. Other names are stored as digests, or are ours."""
ITEMS: Final = frozenset({"items", "said"})

W = TypeVar("W", Say, Report, Ask, Approve, Submit, Publish)


def clean(wish: W) -> W:
    """The very same where there is nothing to strike, and always the same of the same: so whoever repeats it is known again."""
    said: dict[str, JsonValue] = {name: _plain(getattr(wish, name)) for name in WORDS[type(wish)]}
    left = struck.values(said)
    if left is said:
        return wish
    items: dict[str, object] = {name: tuple(map(_item, getattr(wish, name))) for name in ITEMS & left.keys()}
    return wish.model_copy(update={**left, **items})


def _plain(said: JsonValue | tuple[Item, ...]) -> JsonValue:
    return [item.model_dump(mode="json", exclude={"kind"}) for item in said] if isinstance(said, tuple) else said


def _item(item: Item) -> Item:
    said: dict[str, JsonValue] = item.model_dump(mode="json", exclude={"kind"})
    return item.model_copy(update=struck.values(said))
