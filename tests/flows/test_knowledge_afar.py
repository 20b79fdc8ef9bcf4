"""A knowledge job in a sandbox at an emulated Daytona, by the real SDK: the same messages by the same port.

Other sandbox services of the installation keep theirs on this machine, and hear of it too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.jobs import ACTING
from tests.flows.test_in_a_cloud import daytona
from tests.flows.test_knowledge import ORDER, User, second_service
from trunkline.testing.fake_daytona import KEY
from trunkline.testing.stack import ONE_PROCESS, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

ENVIRONMENT = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": ACTING, "TRUNKLINE_DEV": "true"}


def test_a_job_in_a_sandbox_elsewhere_is_told_alike(tmp_path: Path) -> None:
    with daytona(tmp_path) as fake, stack(ENVIRONMENT, *ONE_PROCESS) as running:
        there = {**ENVIRONMENT, "TRUNKLINE_SANDBOX": "daytona", "DAYTONA_API_KEY": KEY, "DAYTONA_API_URL": fake.url}
        with second_service(running, there):
            here, ann = User(running).ready(), User(running, provider="daytona").ready()
            said = ann.asks("open('kept', 'w').write('a'); print('there')").over()
            assert [message["type"] for message in said] == ORDER, said
            assert here.asks("import os; print(os.path.exists('kept'))").over()[-2]["data"] == "False"
            ann.does("stop")
            assert ann.asks("print(open('kept').read())").over()[-2]["data"] == "a"
            assert fake.seen.count("create") == 1
            ann.does("delete")
