"""What an omni client sends and reads about knowledge jobs, with the spellings of its document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trunkline.contracts.job_env import MOST
from trunkline.contracts.sandbox import User
from trunkline_gateway.dialects.omni.schemas import LONGEST_NAME
from trunkline_gateway.dialects.omni.schemas_sandboxes import SandboxId


class ProcessBody(BaseModel):
    """POST /api/knowledge/process."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)

    input: Annotated[str, Field(min_length=1)]
    """The agent's program reads it from its standard input."""
    sandboxId: SandboxId
    userId: User
    """Whose sandbox it is; the variable `USER_ID` inside."""
    taskId: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    """The caller's own name for the task: any text. Messages and results are found by it."""
    model: Literal["sonnet", "haiku"] = "sonnet"
    env: Annotated[dict[str, str], Field(max_length=MOST)] = {}
    """Further variables for the program, of the names that the setting `job_env` lists."""


class JobAccepted(BaseModel):
    """The job is on its way; what becomes of it is told on the channel `tasks`."""

    jobId: str
    accepted: Literal[True] = True
