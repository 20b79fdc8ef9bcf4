"""The names that this surface writes, and those that it reads: of tasks, approvals and traces."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from trunkline.contracts import letters
from trunkline.contracts.approval import RELEASE
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import ApprovalId, TaskId

TASK: Final = r"^(?:task_)?(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$"
APPROVAL: Final = r"^approval_[0-9a-fA-F]{32}(?:_[A-Za-z0-9_-]{1,55})?$"
WEBHOOK: Final = r"^wh_[0-9a-f]{32}$"
SCHEDULE: Final = r"^sch_[0-9a-f]{32}$"
DELIVERY: Final = r"^dlv_[0-9a-f]{40}$"
LETTER: Final = letters.NAME
TRACE: Final = r"^[A-Za-z0-9._:-]{1,128}$"
EVENT: Final = r"^[a-z0-9_]+(\.[a-z0-9_]+)*$"

_TASK: Final = re.compile(TASK)
_JOB: Final = re.compile(r"job_[0-9]{1,16}_[0-9a-f]{10}")
_APPROVAL: Final = re.compile(r"approval_([0-9a-fA-F]{32})(?:_([A-Za-z0-9_-]{1,55}))?")
_WEBHOOK: Final = re.compile(WEBHOOK)
_SCHEDULE: Final = re.compile(SCHEDULE)
_DELIVERY: Final = re.compile(DELIVERY)
_TRACE: Final = re.compile(TRACE)
_EVENT: Final = re.compile(EVENT)


def task(task_id: str) -> str:
    """As this surface writes it."""
    return f"task_{task_id}"


def approval(task_id: str, approval_id: str) -> str:
    """The gate of a task goes by the name of the task alone."""
    return f"approval_{task_id}" if approval_id == RELEASE else f"approval_{task_id}_{approval_id}"


def read_task(text: str) -> TaskId:
    """With or without `task_`, with or without dashes, in any case. Raises NotFound: no task can have another name."""
    if not _matches(_TASK, text):
        raise unknown_task()
    return TaskId(UUID(text.removeprefix("task_")).hex)


def read_name(text: str) -> TaskId:
    """As `read_task`; and the `jobId` of the omni surface, by which the views find its task. Raises NotFound."""
    return TaskId(f"omni:{text}") if _matches(_JOB, text) else read_task(text)


def read_approval(text: str) -> tuple[TaskId, ApprovalId]:
    """Raises NotFound: no approval can have another name."""
    found = _APPROVAL.fullmatch(text)
    if not found:
        raise unknown_approval()
    return TaskId(found[1].lower()), ApprovalId(found[2] or RELEASE)


def read_webhook(text: str) -> str:
    """Raises NotFound: no webhook can have another name."""
    if not _matches(_WEBHOOK, text):
        raise unknown_webhook()
    return text


def read_schedule(text: str) -> str:
    """Raises NotFound: no schedule can have another name."""
    if not _matches(_SCHEDULE, text):
        raise NotFound("there is no such schedule", code="SCHEDULE_NOT_FOUND")
    return text


def read_delivery(text: str) -> str:
    """Raises NotFound: no delivery can have another name."""
    if not _matches(_DELIVERY, text):
        raise unknown_delivery()
    return text


def read_letter(text: str) -> str:
    """Raises NotFound: no letter can have another name."""
    if letters.parse_letter(text) is None:
        raise unknown_letter()
    return text


def is_task(text: str) -> bool:
    """Whether a task can be called so."""
    return _matches(_TASK, text)


def is_event(text: str) -> bool:
    """Whether it may stand on an `event:` line."""
    return _matches(_EVENT, text)


def unknown_task() -> NotFound:
    return NotFound("there is no such task", code="TASK_NOT_FOUND")


def unknown_approval() -> NotFound:
    return NotFound("there is no such approval", code="APPROVAL_NOT_FOUND")


def no_open_approval() -> NotFound:
    return NotFound(
        "there is no such approval that waits for your decision; it may be decided already, or you have said your word",
        code="APPROVAL_NOT_FOUND",
    )


def unknown_webhook() -> NotFound:
    return NotFound("there is no such webhook", code="WEBHOOK_NOT_FOUND")


def unknown_delivery() -> NotFound:
    return NotFound("this webhook has no such delivery; they are kept for eight days", code="DELIVERY_NOT_FOUND")


def unknown_letter() -> NotFound:
    return NotFound("there is no such letter; they are kept as long as the log", code="LETTER_NOT_FOUND")


def unknown_trace() -> NotFound:
    return NotFound("nothing carries that trace id", code="TRACE_NOT_FOUND")


def read_trace(text: str) -> str:
    """Raises NotFound: nothing can carry another name."""
    if not _matches(_TRACE, text):
        raise unknown_trace()
    return text


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    """`$` would let a line end pass."""
    return pattern.fullmatch(text) is not None
