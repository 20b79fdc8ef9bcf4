"""An agent's client as the orchestrator document teaches it for Python: its own token, requests, and nothing of ours."""

from __future__ import annotations

import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import requests

TIMEOUT = 10


class OrchestratorClient:
    def __init__(self, base_url: str, secret: str, agent_id: str, role: str = "agent") -> None:
        self.base_url = base_url
        self.agent_id = agent_id
        self.token = self._signed(secret, role)

    def create_task(self, task_type: str, payload: dict[str, Any], priority: str = "P2", **more: Any) -> Any:
        return self._post("/tasks", {"type": task_type, "payload": payload, "priority": priority, **more})

    def get_task(self, task_id: str) -> Any:
        return self._read(requests.get(f"{self.base_url}/tasks/{task_id}", headers=self._headers(), timeout=TIMEOUT))

    def update_task_status(self, task_id: str, status: str, error: str | None = None) -> Any:
        params = {"status": status, **({"error": error} if error else {})}
        url = f"{self.base_url}/tasks/{task_id}/status"
        return self._read(requests.patch(url, headers=self._headers(), params=params, timeout=TIMEOUT))

    def publish_event(self, event_type: str, payload: dict[str, Any], task_id: str | None = None) -> Any:
        body = {"event_type": event_type, "source_agent": self.agent_id, "payload": payload, "task_id": task_id}
        return self._post("/events/publish", body)

    def publish_bare_event(self, event_type: str, trace_id: str) -> Any:
        """Without a payload, as the page on traces does."""
        return self._post("/events/publish", {"event_type": event_type, "source_agent": "dev_agent", "trace_id": trace_id})

    def approve(self, approval_id: str) -> Any:
        url = f"{self.base_url}/approvals/{approval_id}/approve"
        return self._read(requests.post(url, headers=self._headers(), timeout=TIMEOUT))

    def pending_tasks(self) -> int:
        """As monitors read it."""
        return int(requests.get(f"{self.base_url}/stats", timeout=TIMEOUT).json()["queue"]["pending_tasks"])

    def _signed(self, secret: str, role: str) -> str:
        now = datetime.now(UTC)
        return jwt.encode({"sub": self.agent_id, "role": role, "exp": now + timedelta(hours=24), "iat": now}, secret, algorithm="HS256")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._read(requests.post(f"{self.base_url}{path}", headers=self._headers(), json=body, timeout=TIMEOUT))

    def _read(self, response: requests.Response) -> Any:
        response.raise_for_status()
        return response.json()


def work(base_url: str, secret: str) -> dict[str, Any]:
    client = OrchestratorClient(base_url, secret, "dev-agent-1")
    trace = str(uuid.uuid4())
    task = client.create_task("bugfix", {"issue": "123"}, "P2", metadata={"trace_id": trace})
    moved = client.update_task_status(task["task_id"], "in_progress")
    event = client.publish_event("task.started", {"task_id": task["task_id"]})
    about = client.publish_event("task.noted", {}, task["task_id"])
    bare = client.publish_bare_event("task.started", trace)
    failed = client.update_task_status(task["task_id"], "failed", "no disk")
    gated = client.create_task("deployment", {"environment": "production"}, "P0")
    approved = OrchestratorClient(base_url, secret, "agent-user").approve(gated["approval_id"])
    try:
        client.get_task("task_abc123")
        missing = 200
    except requests.exceptions.HTTPError as error:
        missing = error.response.status_code
    return {
        "task": task, "moved": moved, "events": [event, about, bare], "failed": failed, "gated": gated, "approved": approved,
        "missing": missing, "read": client.get_task(task["task_id"]), "pending": client.pending_tasks(),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(work(*sys.argv[1:3])))
