"""The floor of the row `api`: a bare aiohttp handler that checks the token, validates as ours does, and stores one message."""

from __future__ import annotations

import hashlib
import sys
import time
import uuid
from typing import Any, Final

import jwt
import nats
import orjson
import uvloop
from aiohttp import web
from nats.js import JetStreamContext

from trunkline_gateway import strict_json
from trunkline_gateway.dialects.orchestrator.schemas import TaskBody

SECRET: Final = "0123456789abcdef0123456789abcdef"
CREATE: Final = orjson.dumps(
    {
        "type": "bugfix",
        "payload": {"issue": "123", "description": "Fix login bug", "priority": "high"},
        "priority": "P2",
        "source": "github",
        "sla_target": 3600,
        "metadata": {"repo": "shop", "branch": "main"},
    }
)
"""What is posted: the sample of the document, with a priority that nobody has to approve."""


class Bare:
    """Nothing but what was asked for."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self._known: dict[bytes, dict[str, Any]] = {}

    async def create(self, request: web.Request) -> web.Response:
        who = self._caller(request)
        body = TaskBody.model_validate(strict_json.parse_object(await request.read(), 32))
        name = uuid.uuid4().hex
        record = {"by": who["sub"], "at": time.time(), **body.model_dump()}
        ack = await self._js.publish(f"evt.acme.{name}.task", orjson.dumps(record), headers={"Nats-Msg-Id": name})
        answer = orjson.dumps({"success": True, "task_id": name, "seq": ack.seq, "task": record})
        return web.Response(body=answer, content_type="application/json")

    def _caller(self, request: web.Request) -> dict[str, Any]:
        """Verified once, and remembered."""
        token = request.headers["Authorization"].removeprefix("Bearer ")
        digest = hashlib.sha256(token.encode()).digest()
        if digest not in self._known:
            self._known[digest] = jwt.decode(token, SECRET, algorithms=["HS256"])
        return self._known[digest]


def token(role: str = "agent", subject: str = "bench") -> str:
    now = int(time.time())
    return jwt.encode({"sub": subject, "role": role, "iat": now, "exp": now + 3600}, SECRET, algorithm="HS256")


async def serve(url: str, port: int) -> None:
    """Until killed."""
    js = (await nats.connect(url)).jetstream()
    await js.add_stream(name="EVENTS", subjects=["evt.>"])
    app = web.Application()
    bare = Bare(js)
    app.router.add_post("/tasks", bare.create)
    app.router.add_get("/health", _health)
    await web._run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


async def _health(request: web.Request) -> web.Response:
    return web.json_response({"status": "healthy"})


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
