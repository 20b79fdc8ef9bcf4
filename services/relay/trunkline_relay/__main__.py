"""Runs the relay: `python -m trunkline_relay`."""

from __future__ import annotations

import os
import sys

from trunkline.runtime.service import run
from trunkline.runtime.settings import load
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import running

if __name__ == "__main__":
    sys.exit(run("relay", load(Settings, environ=os.environ).settings, running))
