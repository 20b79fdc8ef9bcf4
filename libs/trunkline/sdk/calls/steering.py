"""Steering a task whose agent runs: messages to it, interrupting, pausing and resuming."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.sdk.calls import Call, answer, part
from trunkline.sdk.credentials import Surface
from trunkline.sdk.models.tasks import MessageQueue, MessageSaid, MessagesOrdered, Steered


def send(task_id: str, text: str, idempotency_key: str = "") -> Call[MessageSaid]:
    """Queue a message for the agent of a task; until the agent takes it, it may be changed, ordered and withdrawn."""
    path = f"/tasks/{part(task_id)}/messages"
    return Call("POST", path, Surface.TASKS, answer(MessageSaid), body={"text": text}, key=idempotency_key)


def messages(task_id: str) -> Call[MessageQueue]:
    """Those that wait in their order, then the others, the newest first."""
    return Call("GET", f"/tasks/{part(task_id)}/messages", Surface.TASKS, answer(MessageQueue))


def edit_message(task_id: str, message_id: str, text: str) -> Call[MessageSaid]:
    """Change a message that waits; ConflictError once the agent has it."""
    path = f"/tasks/{part(task_id)}/messages/{part(message_id)}"
    return Call("PATCH", path, Surface.TASKS, answer(MessageSaid), body={"text": text})


def withdraw_message(task_id: str, message_id: str) -> Call[MessageSaid]:
    """Withdraw a message that waits; ConflictError once the agent has it."""
    return Call("DELETE", f"/tasks/{part(task_id)}/messages/{part(message_id)}", Surface.TASKS, answer(MessageSaid))


def order_messages(task_id: str, message_ids: Sequence[str]) -> Call[MessagesOrdered]:
    """Order the messages that wait: every one of them, in the order in which the agent is to take them."""
    path = f"/tasks/{part(task_id)}/messages/order"
    return Call("PUT", path, Surface.TASKS, answer(MessagesOrdered), body={"message_ids": list(message_ids)})


def interrupt(task_id: str) -> Call[Steered]:
    """End what the agent is doing; it lives, and rests until it is spoken to or resumed."""
    return _steered(task_id, "interrupt")


def pause(task_id: str) -> Call[Steered]:
    """Freeze the run where it stands; its deadline stands still meanwhile."""
    return _steered(task_id, "pause")


def resume(task_id: str) -> Call[Steered]:
    """End a pause, or a rest after an interrupt."""
    return _steered(task_id, "resume")


def _steered(task_id: str, verb: str) -> Call[Steered]:
    return Call("POST", f"/tasks/{part(task_id)}/{verb}", Surface.TASKS, answer(Steered), body={})
