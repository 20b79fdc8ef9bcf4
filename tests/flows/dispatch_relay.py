"""A relay in a process of its own that waits as briefly as tests do, so that it can be killed and started again."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractAsyncContextManager

from tests.flows.dispatch_desk import QUICK
from trunkline.runtime.service import run
from trunkline.runtime.settings import load
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import running


def hurried(settings: Settings) -> AbstractAsyncContextManager[None]:
    return running(settings, QUICK)


if __name__ == "__main__":
    sys.exit(run("relay", load(Settings, environ=os.environ).settings, hurried))
