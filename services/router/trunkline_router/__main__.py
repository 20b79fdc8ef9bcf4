"""Runs the router: `python -m trunkline_router`."""

from __future__ import annotations

import os
import sys

from trunkline.runtime.service import run
from trunkline.runtime.settings import load
from trunkline_router.settings import Settings
from trunkline_router.wiring import running

if __name__ == "__main__":
    sys.exit(run("router", load(Settings, environ=os.environ).settings, running))
