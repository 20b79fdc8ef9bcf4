"""The embedded nats-server, and how an outside one is judged: an acknowledgement means `on disk`, or we do not start."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest

from tests.flows.stand_ins import trunkline, until, write
from trunkline.bus import BusSettings, connect
from trunkline.contracts.errors import Denied, Exhausted, Unavailable, Unsupported
from trunkline_cli import nats_binary
from trunkline_cli.nats_config import store_limit
from trunkline_cli.nats_outside import judge
from trunkline_cli.nats_server import NatsServer, prepare
from trunkline_cli.nats_wire import greet
from trunkline_cli.settings import StackSettings
from trunkline_cli.sockets import free_port
from trunkline_cli.supervisor import Switch

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]


@asynccontextmanager
async def living(server: NatsServer) -> AsyncIterator[Switch]:
    switch = Switch()
    async with asyncio.TaskGroup() as group:
        group.create_task(server(switch))
        async with asyncio.timeout(10):
            await switch.ready.wait()
        try:
            yield switch
        finally:
            switch.stop.set()


def varz(server: NatsServer) -> dict[str, dict[str, dict[str, object]]]:
    return dict(json.load(urllib.request.urlopen(f"{server.monitor}/varz", timeout=5)))


async def test_it_reports_always_sync_and_a_store_below_the_disk(tmp_path: Path) -> None:
    server = prepare(tmp_path, 1 << 30)
    async with living(server):
        config = varz(server)["jetstream"]["config"]
        assert config["sync_always"] is True
        assert config["max_storage"] == 1 << 30
        assert varz(server)["feature_flags"]["js_ack_fc_v2"] is False  # type: ignore[comparison-overlap]
        assert varz(server)["max_payload"] == 2 << 20  # type: ignore[comparison-overlap]


async def test_services_have_jetstream_and_strangers_have_nothing(tmp_path: Path) -> None:
    server = prepare(tmp_path, 1 << 30)
    async with living(server):
        bus = await nats.connect(server.url, user="control", password=server.credentials.control)
        js = bus.jetstream()
        await js.add_stream(name="EVENTS", subjects=["evt.>"])
        assert (await js.publish("evt.a.b.c", b"1")).seq == 1
        await bus.close()
        with pytest.raises(Denied):
            await greet(server.url, "control", "wrong")
        with pytest.raises(Denied):
            await greet(server.url)


async def test_what_was_acknowledged_outlives_a_kill_and_the_address_stays(tmp_path: Path) -> None:
    server = prepare(tmp_path, 1 << 30)
    async with living(server):
        bus = await nats.connect(server.url, user="control", password=server.credentials.control)
        await bus.jetstream().add_stream(name="EVENTS", subjects=["evt.>"])
        await bus.jetstream().publish("evt.a.b.c", b"kept")
        await bus.close()
    again = prepare(tmp_path, 1 << 30)
    assert (again.ports, again.credentials) == (server.ports, server.credentials)
    async with living(again):
        bus = await nats.connect(again.url, user="control", password=again.credentials.control)
        assert (await bus.jetstream().get_msg("EVENTS", 1)).data == b"kept"
        await bus.close()


def test_the_store_never_takes_more_than_most_of_the_disk() -> None:
    assert store_limit(wanted=100, free=1000, used=0) == 100
    assert store_limit(wanted=1000, free=100, used=50) == 120


def test_a_store_without_room_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Exhausted, match="Free some space"):
        prepare(tmp_path, 1 << 20)


async def test_nobody_there_is_said_with_the_address() -> None:
    port = free_port()
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
        await greet(f"nats://127.0.0.1:{port}")


@pytest.fixture
def outside(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A nats-server of somebody else's: its address and that of its monitoring port."""
    client, monitor = free_port(), free_port()
    config = tmp_path / "outside.conf"
    store = f'jetstream {{ store_dir: "{tmp_path}/o", {request.param} }}'
    config.write_text(f'listen: "127.0.0.1:{client}"\nhttp: "127.0.0.1:{monitor}"\n{store}\n')
    server = subprocess.Popen([nats_binary.find(), "-c", str(config)], stderr=subprocess.DEVNULL)
    until(lambda: _answers(monitor), 20)
    yield f"nats://127.0.0.1:{client}", f"http://127.0.0.1:{monitor}"
    server.kill()
    server.wait(5)


def _answers(monitor: int) -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{monitor}/healthz", timeout=1).status == 200)
    except OSError:
        return False


ALWAYS, DEFAULT = "sync_interval: always", "max_mem: 1MB"


judged = pytest.mark.parametrize(
    ("outside", "words", "said"),
    [
        (ALWAYS, ["--nats-monitor", "MONITOR"], None),
        (ALWAYS, [], "cannot be known"),
        (DEFAULT, ["--nats-monitor", "MONITOR"], "before they are on disk"),
        (DEFAULT, ["--accept-unsafe-nats"], None),
    ],
    indirect=["outside"],
    ids=["always-sync is taken", "unknown is refused", "default sync is refused", "unless told to"],
)


@judged
def test_an_outside_server_is_taken_only_when_it_keeps_what_it_acknowledges(
    tmp_path: Path, outside: tuple[str, str], words: list[str], said: str | None
) -> None:
    url, monitor = outside
    words = [word.replace("MONITOR", monitor) for word in words]
    command = trunkline(write(tmp_path / "s"), "up", "--port", "0", "--data-dir", tmp_path / "d", "--nats", url, *words)
    try:
        if said:
            assert command.process.wait(60) == 2
            assert "--accept-unsafe-nats" in command.await_line(said, 20)
        else:
            command.await_line("is ready at")
            assert command.family() == []
            assert command.stop()[0] == 0
    finally:
        command.process.kill()


@judged
def test_a_single_service_judges_the_server_as_up_does(
    tmp_path: Path, outside: tuple[str, str], words: list[str], said: str | None
) -> None:
    url, monitor = outside
    words = [word.replace("MONITOR", monitor) for word in words]
    command = trunkline(write(tmp_path / "s"), "serve", "relay", "--nats", url, *words, TRUNKLINE_DATA_DIR=str(tmp_path))
    try:
        if said:
            assert command.process.wait(60) == 2
            assert "--accept-unsafe-nats" in command.await_line(said, 20)
            assert "is ready" not in str(command)
        else:
            command.await_line("relay is ready")
            assert ("a power cut may lose work" in str(command)) == ("--accept-unsafe-nats" in words)
            assert command.stop()[0] == 0
    finally:
        command.process.kill()


async def test_of_several_servers_the_one_that_answers_is_judged(tmp_path: Path) -> None:
    server = prepare(tmp_path, 1 << 30)
    async with living(server):
        away = f"nats://127.0.0.1:{free_port()}"
        told = {"nats_user": "control", "nats_password": server.credentials.control, "nats_monitor": server.monitor}
        assert await judge(StackSettings.model_validate({"nats_url": f"{away},{server.url}", **told})) == ""
        with pytest.raises(Unsupported, match=str(server.ports.clients)):
            settings = {"nats_url": f"{away},{server.url}", **told, "nats_monitor": "http://127.0.0.1:1"}
            await judge(StackSettings.model_validate(settings))


@pytest.mark.parametrize("outside", [DEFAULT], indirect=True)
def test_services_below_up_do_not_judge_the_server_again(tmp_path: Path, outside: tuple[str, str]) -> None:
    words = ["--split", "--nats", outside[0], "--accept-unsafe-nats"]
    command = trunkline(write(tmp_path / "s"), "up", "--port", "0", "--data-dir", tmp_path / "d", *words)
    try:
        command.await_line("is ready at")
        assert str(command).count("a power cut may lose work") == 1
        assert command.stop()[0] == 0
    finally:
        command.process.kill()


def test_a_single_service_without_a_server_says_where_it_looked_and_why_it_found_none(tmp_path: Path) -> None:
    port = free_port()
    words = ["serve", "router", "--nats", f"nats://127.0.0.1:{port}", "--start-within-s", "0"]
    command = trunkline(write(tmp_path / "s"), *words, TRUNKLINE_DATA_DIR=str(tmp_path))
    assert command.process.wait(60) == 3
    assert "refused" in command.await_line(f"127.0.0.1:{port} (", 20).lower()


async def test_a_single_service_waits_for_a_server_that_begins_after_it_and_wants_no_more_copies_than_there_are_servers(
    tmp_path: Path,
) -> None:
    server = prepare(tmp_path, 1 << 30)
    words = ["serve", "router", "--nats", server.url, "--nats-user", "control", "--nats-monitor", server.monitor]
    password = server.credentials.control
    command = trunkline(write(tmp_path / "s"), *words, TRUNKLINE_NATS_PASSWORD=password, TRUNKLINE_DATA_DIR=str(tmp_path))
    try:
        await asyncio.sleep(0.3)  # until it has looked in vain
        async with living(server):
            await asyncio.to_thread(command.await_line, "router is ready")
            settings = {"nats_url": server.url, "nats_user": "control", "nats_password": password}
            with pytest.raises(Unsupported, match="keeps one copy, not 3"):
                async with connect(BusSettings.model_validate({**settings, "replicas": 3}), "test"):
                    pass
            command.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(command.process.wait, 10) == 0
    finally:
        command.process.kill()


@pytest.mark.parametrize("outside", [DEFAULT], indirect=True)
@pytest.mark.parametrize(("words", "state", "code"), [([], "refused", 1), (["--accept-unsafe-nats"], "warn", 0)])
def test_the_doctor_calls_a_server_that_is_there_by_what_it_is(
    tmp_path: Path, outside: tuple[str, str], words: list[str], state: str, code: int
) -> None:
    url, monitor = outside
    place = ["--data-dir", tmp_path / "d", "--nats", url, "--nats-monitor", monitor, *words]
    doctor = trunkline(None, "doctor", *place)
    assert doctor.process.wait(30) == code, doctor
    assert f" {state} " in doctor.await_line("running server", 20)
