"""Runs the sandbox service: `python -m trunkline_sandbox`."""

from __future__ import annotations

import os
import sys

from trunkline.runtime.service import run
from trunkline.runtime.settings import load
from trunkline_sandbox.settings import Settings
from trunkline_sandbox.wiring import running

if __name__ == "__main__":
    sys.exit(run("sandbox", load(Settings, environ=os.environ).settings, running))
