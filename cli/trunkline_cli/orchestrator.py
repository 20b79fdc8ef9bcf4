"""The orchestrator surface as the command line uses it: tasks, their events, approvals, and events that anybody publishes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from pydantic import JsonValue

from trunkline.contracts.errors import DomainError, NotFound
from trunkline_cli.api import JOB, no_task
from trunkline_cli.blocks import Block
from trunkline_cli.door import Door, Wish
from trunkline_cli.forge_token import HEADER

PAGE: Final = 100
"""The most that is asked for at once."""
LAST: Final = ("task.completed", "task.failed", "task.cancelled")
Object = dict[str, JsonValue]
KNOWLEDGE: Final = re.compile(r"job_[0-9]{1,16}_[0-9a-f]{10}")
"""What a job in a named sandbox goes by on its own surface."""
_TRACE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MESSAGE: Final = re.compile(r"[0-9a-f]{32}")
_APPROVAL: Final = re.compile(r"approval_[0-9A-Za-z_-]+")


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """Answers are JSON objects as they came. Every call raises Unavailable, or the refusal that the gateway spoke."""

    door: Door
    token: str = field(default="", repr=False)
    """For the repositories of new tasks; empty: none is sent."""

    async def tasks(self, query: Mapping[str, str], most: int) -> Object:
        """At most `most` tasks, of as many pages as that takes, as one page."""
        return await self._pages("/tasks", "tasks", query, most)

    async def task(self, task: str) -> Object:
        """By its id, or as `named`. Raises NotFound."""
        return await self._get(f"/tasks/{task if KNOWLEDGE.fullmatch(task) else task_id(task)}")

    async def named(self, task: str) -> str:
        """Its id; of a job in a sandbox, which goes by a `job_…`, the gateway is asked for it. Raises NotFound."""
        if not KNOWLEDGE.fullmatch(task):
            return task
        found = (await self.task(task)).get("task")
        return str(found.get("task_id", "")) if isinstance(found, dict) else ""

    async def usage(self, query: Mapping[str, str]) -> Object:
        """What models cost, by day and model. Raises Invalid."""
        return await self._get("/usage", query)

    async def create(self, body: Object, key: str = "") -> Object:
        return await self._new("/tasks", body, key)

    async def cancel(self, task: str, reason: str) -> Object:
        """Raises NotFound, or Conflict when it is over already."""
        return await self._post(f"/tasks/{task_id(task)}/cancel", {"reason": reason} if reason else {})

    async def say(self, task: str, text: str) -> Object:
        """Queue a message for its agent. Raises NotFound, Conflict when no agent of it can be spoken to, Invalid."""
        return await self._post(f"/tasks/{task_id(task)}/messages", {"text": text})

    async def continue_(self, task: str, body: Object) -> Object:
        """A new task that goes on where this one ended. Raises NotFound, Conflict, Invalid."""
        return await self._new(f"/tasks/{task_id(task)}/continue", body)

    async def fork(self, task: str, body: Object, event: str) -> Object:
        """A new task from this one as it was at an event; without one, as it ended. Raises NotFound, Conflict, Invalid."""
        return await self._new(f"/tasks/{task_id(task)}/fork", {**body, **({"from": event} if event else {})})

    async def messages(self, task: str) -> Object:
        """Raises NotFound."""
        return await self._get(f"/tasks/{task_id(task)}/messages")

    async def edit(self, task: str, message: str, text: str) -> Object:
        """Raises NotFound; Conflict once the agent has it."""
        return await self._change("PATCH", f"/tasks/{task_id(task)}/messages/{message_id(message)}", {"text": text})

    async def withdraw(self, task: str, message: str) -> Object:
        """Raises NotFound; Conflict once the agent has it."""
        return await self._change("DELETE", f"/tasks/{task_id(task)}/messages/{message_id(message)}")

    async def order(self, task: str, messages: Sequence[str]) -> Object:
        """Raises NotFound; Conflict when other messages wait by now."""
        return await self._change("PUT", f"/tasks/{task_id(task)}/messages/order", {"message_ids": list(messages)})

    async def steer(self, task: str, verb: str) -> Object:
        """`verb` is interrupt, pause or resume. Raises NotFound, Conflict."""
        return await self._post(f"/tasks/{task_id(task)}/{verb}", {})

    def events(self, task: str, query: str = "") -> AsyncIterator[Block]:
        """Everything that happened to a task, then what happens, to its end. `query` says how, as it stands in a URL. Raises NotFound."""
        return self.door.follow(f"/tasks/{task_id(task)}/events{query}", is_last)

    async def pending(self, most: int) -> Object:
        return await self._pages("/approvals/pending", "approvals", {}, most)

    async def approval(self, approval: str) -> Object:
        """Raises NotFound."""
        return await self._get(f"/approvals/{approval_id(approval)}")

    async def has_approval(self, approval: str) -> bool:
        """Whether there is certainly one by that id, decided or not."""
        try:
            return bool(await self.approval(approval))
        except DomainError:  # what was asked before is answered already, and a limit on reading takes nothing from that
            return False

    async def history(self, most: int) -> Object:
        return await self._pages("/approvals/history", "history", {}, most)

    async def decide(self, approval: str, verb: str, body: Object) -> Object:
        """`verb` is approve or reject. Raises NotFound for one that is unknown or decided, Denied, Conflict."""
        return await self._post(f"/approvals/{approval_id(approval)}/{verb}", body)

    async def trace(self, name: str) -> Object:
        """Everything under the name of a trace, and its spans. Raises NotFound."""
        if not _TRACE.fullmatch(name):
            raise NotFound(f"There is no trace {name!r}: a name has 1 to 128 letters, digits, '.', '_', ':' or '-'.")
        return await self._get(f"/traces/{name}")

    async def if_there(self, task: str) -> Object | None:
        """As `task`; None where there is none by that id."""
        try:
            return await self.task(task)
        except NotFound:
            return None

    async def publish(self, body: Object) -> Object:
        return await self._post("/events/publish", body)

    async def _pages(self, path: str, name: str, query: Mapping[str, str], most: int) -> Object:
        return await pages(self.door, (path, name), query, most)

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        return _object(await self.door.ask(Wish("GET", path, query=query or {})))

    async def _change(self, method: str, path: str, body: Object | None = None) -> Object:
        return _object(await self.door.ask(Wish(method, path, body)))

    async def _new(self, path: str, body: Object, key: str = "") -> Object:
        """A task that may need the token."""
        return await self._post(path, body, key, {HEADER: self.token} if self.token else {})

    async def _post(self, path: str, body: Object, key: str = "", headers: Mapping[str, str] | None = None) -> Object:
        """With a key, so that a gateway that was asked twice does it once."""
        shown = {"Idempotency-Key": key or uuid4().hex, **(headers or {})}
        return _object(await self.door.ask(Wish("POST", path, body, headers=shown)))


async def pages(door: Door, place: tuple[str, str], query: Mapping[str, str], most: int) -> Object:
    """At most `most` things, of as many pages as that takes, as one page; `place` is the path, and what the list is called there."""
    path, name = place
    page, found = Object(), list[JsonValue]()
    cursor: JsonValue = ""
    while cursor is not None and len(found) < most:
        asked = {**query, "limit": str(min(most - len(found), PAGE)), **({"cursor": str(cursor)} if cursor else {})}
        page = _object(await door.ask(Wish("GET", path, query=asked)))
        found += _listed(page, name)
        cursor = page.get("next_cursor") or None
    return {**page, name: found[:most], "count": min(len(found), most)}


def task_id(text: str) -> str:
    """A task's id as it was typed. Raises NotFound for what cannot be one: no gateway has to be asked."""
    if not JOB.fullmatch(text.removeprefix("task_")):
        raise no_task(text)
    return text


def approval_id(text: str) -> str:
    """An approval's id as it was typed. Raises NotFound for what cannot be one: no gateway has to be asked."""
    if not _APPROVAL.fullmatch(text):
        raise NotFound(f"There is no approval {text!r}: `trunkline approvals` lists those that are open.")
    return text


def message_id(text: str) -> str:
    """A message's id as it was typed. Raises NotFound for what cannot be one."""
    if not _MESSAGE.fullmatch(text):
        raise NotFound(f"There is no message {text!r}: `trunkline messages TASK` lists those that there are.")
    return text


def is_last(block: Block) -> bool:
    """Whether nothing happens to the task any more; that somebody published an event by that name ends nothing. Pure."""
    return block.data.get("event_type") in LAST and "published_by" not in block.data


def _object(answer: JsonValue) -> Object:
    return answer if isinstance(answer, dict) else {}


def _listed(page: Object, name: str) -> list[JsonValue]:
    found = page.get(name)
    return found if isinstance(found, list) else []
