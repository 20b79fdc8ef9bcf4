"""The bus on the nats-server that compose.yaml runs, in its container; said aloud where there is no engine for it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
import yaml

from tests.architecture.source import ROOT
from trunkline.bus import BusSettings, Raced, connect
from trunkline.contracts.record import Record
from trunkline.contracts.task import TaskStarted
from trunkline.runtime.clock import now

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]
SUBJECT = "evt.acme.t1.task"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    image = yaml.safe_load((ROOT / "compose.yaml").read_text())["x-nats"]["image"]
    container = import_module("testcontainers.core.container").DockerContainer
    try:
        import_module("docker").from_env().ping()
        started = container(image).with_command("--jetstream").with_exposed_ports(4222).start()
    except Exception as error:
        pytest.skip(f"NOT TESTED, nats-server in a container: {type(error).__name__}, so no Docker engine answers or has the image")
    try:
        yield f"nats://{started.get_container_host_ip()}:{started.get_exposed_port(4222)}"
    finally:
        started.stop()


async def test_a_server_in_a_container_keeps_facts_in_order_and_fences_writers(url: str) -> None:
    def record(attempt: int) -> Record:
        return Record(at=now(), facts=(TaskStarted(attempt=attempt),))

    async with connect(BusSettings(nats_url=url), "test") as bus:
        first = await bus.log.append(SUBJECT, record(1), expect=0, id="a")
        second = await bus.log.append(SUBJECT, record(2), expect=first, id="b")
        with pytest.raises(Raced):
            await bus.log.append(SUBJECT, record(3), expect=first, id="c")
        assert [stored.seq for stored in (await bus.log.load(SUBJECT)).records] == [first, second]
