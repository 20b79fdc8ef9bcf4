"""The names of the omni surface: its paths, its channel, and how its callers' own names are kept on a task."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

SURFACE: Final = "omni"
CLAIMS: Final = ("/api/sandbox", "/api/knowledge", "/api/snapshot", "/api/task", "/api/inngest", "/v1/realtime")
CHANNEL: Final = "tasks"
UPDATE: Final = "update"
STATUS: Final = "status"
TASK_LABEL: Final = "omni_task"
"""On the assignment: the caller's `taskId`, as it was sent."""
JOB_LABEL: Final = "omni_job"
"""On the assignment: our `jobId` for it."""
SANDBOX_LABEL: Final = "omni_sandbox"
"""On the assignment: the sandbox that it runs in."""
FUNCTION: Final = "process-knowledge"


def job_id(task: str, at: datetime) -> str:
    """What the job of a task is called: the same whenever it is asked for, and nobody knows its task by it."""
    return f"job_{round(at.timestamp() * 1000)}_{sha256(f'job/{task}'.encode()).hexdigest()[:10]}"


def job_alias(job_id: str) -> str:
    """By which a task is found by its `jobId`."""
    return f"{SURFACE}:{job_id}"


def task_alias(task_id: str) -> str:
    """By which a caller's `taskId`, any text, finds the newest of its jobs."""
    return f"{SURFACE}:task:{sha256(task_id.encode()).hexdigest()[:32]}"
