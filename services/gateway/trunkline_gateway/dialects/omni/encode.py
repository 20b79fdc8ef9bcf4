"""From what Trunkline says to what an omni client reads."""

from __future__ import annotations

from datetime import UTC
from typing import Final

import orjson
from aiohttp import web
from pydantic import BaseModel, JsonValue

from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import TenantId
from trunkline_gateway.channel import Frame, Way
from trunkline_gateway.dialect import status_of
from trunkline_gateway.dialects.omni.names import CHANNEL, FUNCTION
from trunkline_gateway.dialects.omni.schemas import ErrorBody, Problem, Registered, Results, Told
from trunkline_gateway.dialects.omni.story import Job
from trunkline_gateway.dressing import JSON
from trunkline_gateway.sockets import text_frame
from trunkline_gateway.usecases.results import Page
from trunkline_gateway.usecases.telling import Place, Spoken

PING: Final = b'{"kind":"ping"}'
GAP: Final = {
    Way.EVENTS: b": gap: what follows the place named is lost, or further back than this token reaches; what it reaches follows\n\n",
    Way.SOCKET: text_frame(b'{"kind":"gap"}'),
}
"""Said first where what comes does not begin where it was wanted. The npm client passes over kinds that it does not know."""
_STATUS: Final = {
    "NOT_IMPLEMENTED": 501, "SANDBOX_NOT_FOUND": 404, "SANDBOX_NOT_READY": 409, "SANDBOX_ERROR": 500, "SANDBOX_RESTART_FAILED": 500,
    "SNAPSHOT_BUILD_FAILED": 500,
}  # fmt: skip
_CODE: Final = {"invalid": "VALIDATION_ERROR", "exhausted": "RATE_LIMITED", "broken": "SERVER_ERROR"}
"""The document's word for a whole kind; our own is in the details."""
_PLAIN: Final = {"not_found": "NOT_FOUND"}
"""As above, for those of a kind that the document has no word of its own for."""
_FIELDS: Final = {"memory_mb": "memoryMb", "disk_mb": "diskMb", "ttl_s": "ttlSeconds"}
"""What the caller called it, where our own word is another one."""
REGISTERED: Final = Registered(
    authentication_succeeded=None,
    extra={"is_mode_explicit": False},
    has_event_key=True,
    has_signing_key=True,
    function_count=1,
    mode="dev",
    schema_version="2024-05-24",
)


def refusal(error: DomainError) -> web.Response:
    """`{"error": {"code", "message", "details"}}`."""
    known = error.code in _STATUS
    code = error.code if known else _CODE.get(error.kind) or _PLAIN.get(error.kind, error.code)
    details: dict[str, JsonValue] = dict(error.details)
    if (field := str(details.get("field"))) in _FIELDS:
        details["field"] = _FIELDS[field]
    if code != error.code:
        details["reason"] = error.code
    body = Problem(error=ErrorBody(code=code, message=error.message, details=details))
    return answer(body, _STATUS.get(error.code) or status_of(error))


def answer(body: BaseModel, status: int = 200) -> web.Response:
    return web.Response(body=body.model_dump_json().encode(), status=status, headers=JSON)


def frame(tenant: TenantId, spoken: Spoken) -> Frame:
    """As the npm client reads it: every field a text, none of them null. `stream_id` is the place to resume from."""
    place, message = str(spoken.place), spoken.message
    said = orjson.dumps(
        {
            "kind": "data",
            "channel": CHANNEL,
            "topic": message.topic,
            "data": message.data,
            "run_id": message.job,
            "fn_id": FUNCTION,
            "created_at": spoken.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "env_id": tenant,
            "stream_id": place,
        }
    )
    event = b"id: %b\ndata: %b\n\n" % (place.encode(), said)
    return Frame(spoken.place, message.topic, {Way.EVENTS: event, Way.SOCKET: text_frame(said)})


def results(page: Page[Job], after: Place | None) -> Results:
    """What was said of a job, as far as the page goes."""
    job, told = page.state, [Told.model_validate(spoken.message.data) for spoken in page.said]
    place = page.said[-1].place if page.said else after
    return Results.model_validate(
        {
            "taskId": job.task_id, "jobId": job.job_id, "status": job.status, "sessionId": job.session or job.job_id,
            "results": told, "done": job.over, "more": page.more, "next": str(place) if place else None,
        }
    )  # fmt: skip
