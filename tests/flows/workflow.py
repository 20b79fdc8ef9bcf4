"""A workflow run at a fake GitHub for tests: a checkout, and our own program in it, as GitHub would start it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.testing.fake_actions import Dispatched

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "integrations" / "github" / "home.py"
AGENT = Path(__file__).parent / "clients" / "home_agent.py"
KILLED_AFTER = 7.5
"""GitHub waits so long after it said stop."""


@dataclass
class Workflow:
    """Runs in folders below `folder`, of repositories below `forge`; what they printed, by number of the run."""

    folder: Path
    forge: Path
    url: str
    logs: dict[int, str] = field(default_factory=dict)

    async def __call__(self, sent: Dispatched) -> str:
        """How it is concluded."""
        here = self.folder / str(sent.run_id)
        subprocess.run(["git", "clone", "-q", str(self.forge / f"{sent.repo}.git"), str(here)], check=True, timeout=20)
        event = self.folder / f"{sent.run_id}.json"
        event.write_text(json.dumps({"action": sent.event_type, "client_payload": dict(sent.payload)}))
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(HOME), env=self._environment(sent, event), cwd=here,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        reading = asyncio.ensure_future(process.communicate())
        try:
            await asyncio.shield(reading)
        except asyncio.CancelledError:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(asyncio.shield(reading), KILLED_AFTER)
            raise
        finally:
            self.logs[sent.run_id] = (await reading)[0].decode()
        return "success" if process.returncode == 0 else "failure"

    def _environment(self, sent: Dispatched, event: Path) -> dict[str, str]:
        talk = "ask" in sent.payload["prompt"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "OMNARA_"))}
        return kept | {
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": sent.repo,
            "GITHUB_RUN_ID": str(sent.run_id),
            "HOME_URL": self.url,
            "HOME_AGENT": shlex.join([sys.executable, str(AGENT), *(["talk"] if talk else [])]),
            "HOME_TALK": "true" if talk else "false",
            "HOME_BEAT_S": "0.2",
            "HOME_POLL_S": "0.1",
        }
