"""What was said to an agent that calls home, as the queue of messages that every agent has: pure."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.instance import InstanceMessage, InstanceStatus
from trunkline.contracts.instance_views import InstanceView
from trunkline.contracts.steering import MessageQueueView, MessageState, MessageView

MOST: Final = 100
"""Messages of a queue that are shown."""
MOST_READ: Final = 200
"""Of a conversation, to find them in: the agent's own are among them."""


def queue(view: InstanceView) -> MessageQueueView:
    """Those that it has not read in their order, then the others, the newest first."""
    read = _read(view)
    waiting = [_shown(each, MessageState.QUEUED) for each in view.messages[read:] if not each.agent]
    taken = [_shown(each, MessageState.TAKEN) for each in reversed(view.messages[:read]) if not each.agent]
    return MessageQueueView(
        task_id=view.task_id,
        messages=(*waiting, *taken)[:MOST],
        paused=view.status is InstanceStatus.PAUSED,
        closed=view.status.over,
    )


def _read(view: InstanceView) -> int:
    """How many of its messages the agent has; what it read last may be older than all of them."""
    places = (place for place, each in enumerate(view.messages, 1) if each.message_id == view.last_read)
    return next(places, 0)


def _shown(message: InstanceMessage, state: MessageState) -> MessageView:
    return MessageView(message_id=message.message_id, text=message.text, by=message.by, state=state, queued_at=message.at)
