"""What a process was told in confidence stands nowhere that others can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys

CANARY = "tl-canary-8c1f4d7a2b"
PROGRAM = """
import json, os, resource, subprocess, sys
import structlog
from pydantic import BaseModel, SecretStr
from trunkline.runtime.secrecy import confide, unspoken
from trunkline.telemetry.logs import set_up_logs

class Settings(BaseModel):
    model_key: SecretStr
    api_keys: dict[str, SecretStr]

before = os.environ["SECRET_KEY"]
confide(["SECRET_KEY", "NOT_THERE"])
set_up_logs("test")
unspoken(Settings(model_key=SecretStr(before), api_keys={"ci": SecretStr("another-canary-77")}))
structlog.get_logger().info("said", text=f"<{before}>", other={"deep": ["another-canary-77", before.encode().hex()]})
print(json.dumps({
    "block": open("/proc/self/environ", "rb").read().decode(),
    "variable": os.environ.get("SECRET_KEY"),
    "child": subprocess.run(["env"], capture_output=True, text=True).stdout,
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "in a core": open("/proc/self/coredump_filter").read().strip("0\\n"),
}))
"""


def test_a_secret_is_gone_from_the_environment_its_children_and_the_log() -> None:
    env = {**os.environ, "SECRET_KEY": CANARY, "PLAIN": "kept"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True, timeout=30)
    told = json.loads(done.stdout)
    assert CANARY not in done.stdout
    assert f"SECRET_KEY={'*' * len(CANARY)}" in told["block"]
    assert "PLAIN=kept" in told["block"] and "PLAIN=kept" in told["child"]
    assert told["variable"] is None and "SECRET_KEY" not in told["child"]
    assert (told["core"], told["in a core"]) == ([0, 0], "")


def test_no_line_of_the_log_shows_a_secret() -> None:
    env = {**os.environ, "SECRET_KEY": CANARY}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True, timeout=30)
    line = json.loads(done.stderr)
    assert line["text"] == "<[redacted:model_key]>"
    assert line["other"] == {"deep": ["[redacted:api_keys]", "[redacted:model_key]"]}
