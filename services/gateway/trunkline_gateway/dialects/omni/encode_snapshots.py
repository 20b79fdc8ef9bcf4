"""What is said of a snapshot and of its build, as an omni client reads it."""

from __future__ import annotations

from datetime import datetime

import orjson
from pydantic import JsonValue

from trunkline.contracts.image import ImageBuilt, ImageFailed, ImageInvalidated, ImageSaid, ImageView, ImageWanted
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Event, Gap
from trunkline_gateway.dialects.omni.schemas_snapshots import SnapshotStanding


def standing(view: ImageView) -> SnapshotStanding:
    return SnapshotStanding(
        status=view.status.value,
        name=view.name,
        provider=view.provider,
        changedAt=_ms(view.changed_at),
        retryAt=_ms(view.retry_at),
        code=view.code,
        error=view.error,
    )


def frame(item: Event | Gap) -> bytes:
    """As the messages of a job look: `log`, `error` and `done`, after a `status`."""
    if isinstance(item, Gap):
        return b": gap: what was heard last is not of this log; the whole of it follows\n\n"
    bodies = [{**body, "ts": _ms(item.at)} for body in _bodies(item.fact)]
    said = b"".join(b"data: %b\n\n" % orjson.dumps(body) for body in bodies)
    return b"id: %b\n%b" % (str(item.cursor).encode(), said) if said else b""


def _bodies(fact: Fact) -> list[dict[str, JsonValue]]:
    match fact:
        case ImageWanted(name=name):
            return [{"type": "status", "snapshot": name, "status": "building"}]
        case ImageSaid(name=name, lines=lines):
            return [{"type": "log", "snapshot": name, "data": "\n".join(lines)}]
        case ImageBuilt(name=name):
            return [{"type": "done", "snapshot": name, "status": "ready"}]
        case ImageFailed(name=name, code=code, error=error):
            failed: dict[str, JsonValue] = {"type": "error", "snapshot": name, "code": code, "message": error}
            return [failed, {"type": "done", "snapshot": name, "status": "error"}]
        case ImageInvalidated(name=name):
            return [{"type": "done", "snapshot": name, "status": "none"}]
        case _:
            return []


def _ms(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at else None
