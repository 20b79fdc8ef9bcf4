"""The bodies that the pr_agent document describes, field by field, with its spellings."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

TASK_LIMIT: Final = 128 << 10
"""Bytes of UTF-8. Half of what a body may hold, and far beyond any task that a person wrote."""

_STRICT: Final = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)
"""Types are not guessed; fields that the document does not know are not looked at; no value gets into an error."""

_REPO: Final = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}\Z")
_NOT_IN_REF: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def _repository(text: str) -> str:
    name = text.rpartition("/")[2]
    if not _REPO.match(text) or ".." in text or name == "." or text.endswith((".git", ".lock", ".")):
        raise PydanticCustomError("INVALID_REPO", "repo must look like owner/name: letters, digits, '.', '_' and '-', without .git")
    return text


def _task(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("MISSING_TASK", "task must say what is to be done")
    if len(text.encode()) > TASK_LIMIT:
        raise PydanticCustomError("TASK_TOO_LONG", f"task must be at most {TASK_LIMIT} bytes; put longer material into the repository")
    return text


def _branch(text: str) -> str:
    """The rules of `git check-ref-format --branch`, and a length that a file name can have."""
    parts = text.split("/")
    broken = (
        not 0 < len(text.encode()) <= 200
        or _NOT_IN_REF.search(text)
        or text in ("@", "HEAD")
        or text.startswith("-")
        or text.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )
    if broken:
        raise PydanticCustomError("INVALID_BRANCH", "branch must be a name that git takes for a branch, at most 200 bytes")
    return text


class Metadata(BaseModel):
    """What the caller calls the task."""

    model_config = _STRICT

    taskId: str | None = Field(None, max_length=200)
    taskTitle: str | None = Field(None, max_length=500)


class ExecuteBody(BaseModel):
    """POST /api/pr-agent/execute."""

    model_config = _STRICT

    repo: Annotated[str, AfterValidator(_repository)]
    task: Annotated[str, AfterValidator(_task)]
    branch: Annotated[str, AfterValidator(_branch)] | None = None
    githubToken: SecretStr | None = Field(None, max_length=1000)
    """Taken so that a client may send it, and let go at once: the local forge needs none."""
    clientFingerprint: str | None = Field(None, max_length=200)
    skill: str | None = Field(None, max_length=100)
    useSDK: bool | None = None
    metadata: Metadata | None = None


class CancelBody(BaseModel):
    """POST /api/pr-agent/:jobId/cancel (ours)."""

    model_config = _STRICT

    reason: str | None = Field(None, max_length=500)
