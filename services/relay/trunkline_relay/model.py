"""How batches of the log become changed views, and how much of a view fits on a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from trunkline.contracts.errors import Invalid
from trunkline.contracts.record import Event
from trunkline.contracts.views import ListTasks, TaskPage, TaskView, fold

LONGEST_PAGE: Final = 100
FURTHEST: Final = 10_000_000
LONGEST_TEXT: Final = 2_000
"""Characters of a prompt or an error on a page: a hundred tasks stay well below the bus's message limit of 1 MiB."""

Find = Callable[[str, str], TaskView | None]


def changed(events: Iterable[Event], find: Find) -> list[TaskView]:
    """The views that these events change, as they are afterwards; `find` gives a view as it is before, by tenant and task."""
    views: dict[tuple[str, str], TaskView | None] = {}
    touched: dict[tuple[str, str], TaskView] = {}
    for event in events:
        key = (event.tenant, event.task)
        before = views[key] if key in views else find(*key)
        after = views[key] = fold(before, event)
        if after is not None and after is not before:
            touched[key] = after
    return list(touched.values())


def check(query: ListTasks) -> None:
    """Raises Invalid when the page asked for cannot be."""
    if not 1 <= query.limit <= LONGEST_PAGE:
        raise Invalid(f"limit must be 1 to {LONGEST_PAGE}", code="BAD_PAGE", limit=query.limit)
    if not 0 <= query.offset <= FURTHEST:
        raise Invalid(f"offset must be 0 to {FURTHEST}", code="BAD_PAGE", offset=query.offset)


def brief(page: TaskPage) -> TaskPage:
    """The page with long texts cut; reading the task itself gives them whole."""
    return page.model_copy(update={"tasks": tuple(_brief(view) for view in page.tasks)})


def _brief(view: TaskView) -> TaskView:
    changes: dict[str, object] = {}
    if len(view.assignment.prompt) > LONGEST_TEXT:
        changes["assignment"] = view.assignment.model_copy(update={"prompt": _cut(view.assignment.prompt)})
    if view.error and len(view.error) > LONGEST_TEXT:
        changes["error"] = _cut(view.error)
    return view.model_copy(update=changes) if changes else view


def _cut(text: str) -> str:
    return text[: LONGEST_TEXT - 1] + "…"
