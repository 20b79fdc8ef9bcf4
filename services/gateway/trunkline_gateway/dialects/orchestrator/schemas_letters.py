"""What an orchestrator client sends about dead letters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from trunkline.contracts.letters import MOST_PAGE, MOST_REASON, MOST_SOUGHT
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.schemas import BODY, LOOSE, QUERY, Object, Seal, Urgency, Whole, whole

Kind = Literal["task", "trigger", "webhook", "message"]
State = Literal["open", "requeued", "discarded"]
LetterId = Annotated[str, Field(pattern=names.LETTER, examples=["task.01a1fe1a15477676b883dd25f2dda5a4"])]
Sought = Annotated[str, Field(max_length=MOST_SOUGHT)]
Moment = Annotated[str, Field(max_length=64, examples=["2025-10-22T06:00:00Z"])]


class LetterPath(BaseModel):
    model_config = LOOSE

    letter_id: LetterId


class LettersQuery(BaseModel):
    """GET /dead-letters."""

    model_config = QUERY

    kind: Kind | None = None
    state: State | None = None
    q: Sought | None = None
    """Stands in the id, in `what`, in `why` or in the task, in any case."""
    since: Moment | None = None
    """An ISO time: only what was given up on since then."""
    limit: Annotated[Whole, Field(ge=1, le=MOST_PAGE)] = 20
    cursor: Seal | None = None


class EditBody(BaseModel):
    """What is to be otherwise; `editable` of the letter says which of these it knows. What is not named stays.

    `payload` and `metadata` are judged as POST /tasks judges them, and what it reads out of them is read again.
    """

    model_config = BODY

    payload: Object | None = None
    prompt: Annotated[str, Field(min_length=1)] | None = None
    priority: Urgency | None = None
    metadata: Object | None = None
    body: Object | None = None
    """Of a message: all of it, as its handler reads it."""


class RequeueBody(BaseModel):
    """POST /dead-letters/{letter_id}/requeue; none is needed."""

    model_config = BODY

    edit: EditBody | None = None


class RequeueManyBody(BaseModel):
    """POST /dead-letters/requeue. Either `ids`, or a `kind`: of those the open ones, the newest first."""

    model_config = BODY

    ids: Annotated[list[LetterId], Field(min_length=1, max_length=MOST_PAGE)] | None = None
    kind: Kind | None = None
    q: Sought | None = None
    since: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PAGE), BeforeValidator(whole)] = MOST_PAGE
    edit: EditBody | None = None
    """Of each the same."""


class DiscardBody(BaseModel):
    """POST /dead-letters/{letter_id}/discard."""

    model_config = BODY

    reason: Annotated[str, Field(min_length=1, max_length=MOST_REASON)]
