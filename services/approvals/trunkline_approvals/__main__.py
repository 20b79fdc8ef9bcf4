"""Runs the approvals service: `python -m trunkline_approvals`."""

from __future__ import annotations

import os
import sys

from trunkline.runtime.service import run
from trunkline.runtime.settings import load
from trunkline_approvals.settings import Settings
from trunkline_approvals.wiring import running

if __name__ == "__main__":
    sys.exit(run("approvals", load(Settings, environ=os.environ).settings, running))
