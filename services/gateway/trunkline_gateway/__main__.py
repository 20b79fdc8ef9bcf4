"""Runs the gateway as a process of its own."""

import os
import sys

from trunkline.runtime.service import run
from trunkline.runtime.settings import load
from trunkline_gateway.settings import Settings
from trunkline_gateway.wiring import running

if __name__ == "__main__":
    sys.exit(run("gateway", load(Settings, environ=os.environ).settings, running))
