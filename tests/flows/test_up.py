"""`trunkline up`: starts, says so, keeps alive what dies, stops within five seconds and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests import campaigns
from tests.flows.stand_ins import NAMES, Command, trunkline, until, write

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

END_WITHIN = 8.0
"""Seconds: five, on a machine with others."""


@pytest.fixture
def services(tmp_path: Path) -> Path:
    return write(tmp_path / "services")


@pytest.fixture
def started(services: Path, tmp_path: Path) -> Iterator[list[Command]]:
    """What a test started; all of it is gone at the end, however the test went."""
    commands: list[Command] = []
    yield commands
    for command in commands:
        family = command.family() if command.process.poll() is None else []
        command.process.kill()
        command.process.wait(5)
        psutil.wait_procs(family, timeout=5)


def up(started: list[Command], services: Path, tmp_path: Path, *words: str, cold: bool = False, **env: str) -> Command:
    command = trunkline(services, "up", "--port", "0", "--data-dir", tmp_path / "data", *words, cold=cold, **env)
    started.append(command)
    return command


def child(command: Command, name: str) -> psutil.Process:
    """The process whose command line holds `name`; the service itself, not its tether."""
    return next(each for each in command.family() if name in " ".join(each.cmdline()) and "tether" not in " ".join(each.cmdline()))


def gone(processes: list[psutil.Process], seconds: float = 10) -> bool:
    """Whether they end in time. An orphan that nobody has reaped yet is gone too."""
    left = psutil.wait_procs(processes, timeout=seconds)[1]
    return all(each.status() == psutil.STATUS_ZOMBIE for each in left)


def standing(tmp_path: Path) -> list[Path]:
    """What each service that stands has left of its environment."""
    return list((tmp_path / "data").glob("environ-*"))


def url_of(command: Command) -> str:
    return next(word for word in command.await_line("is ready at").split() if word.startswith("http://"))


@pytest.mark.parametrize(("mode", "number"), [([], signal.SIGINT), (["--split"], signal.SIGTERM)], ids=["one process", "split"])
def test_it_says_when_it_is_ready_and_a_signal_ends_all_of_it_within_five_seconds(
    started: list[Command], services: Path, tmp_path: Path, mode: list[str], number: int
) -> None:
    command = up(started, services, tmp_path, *mode, cold=True)
    line = command.await_line("is ready at")
    assert str(tmp_path / "data") in line and "Ctrl-C stops it" in line
    assert urllib.request.urlopen(f"{url_of(command)}/health", timeout=5).status == 200
    family = command.family()
    assert len(family) == (7 if mode else 1)
    print({each.cmdline()[-1]: f"{each.memory_info().rss >> 20} MiB" for each in [psutil.Process(command.process.pid), *family]})

    code, seconds = command.stop(number)

    assert (code, seconds < END_WITHIN) == (0, True), command
    assert gone(family)
    assert str(command).count("drained") == 5
    assert str(command).index("drained gateway") < str(command).index("drained router")


def test_a_second_up_on_the_same_data_is_refused_and_told_who_holds_it_on_the_same_port_too(
    started: list[Command], services: Path, tmp_path: Path
) -> None:
    first = up(started, services, tmp_path)
    port = url_of(first).rpartition(":")[2]
    for words in ((), ("--port", port)):
        second = up(started, services, tmp_path, *words)
        assert second.process.wait(30) == 2
        assert f"process {first.process.pid}" in second.await_line("already running", 10)
    assert first.process.poll() is None


def test_a_port_in_use_is_said_before_anything_starts(started: list[Command], services: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = up(started, services, tmp_path, "--port", str(taken.getsockname()[1]))
        assert command.process.wait(30) == 2
    assert "--port" in command.await_line("is in use", 10)
    assert not (tmp_path / "data" / "nats").exists()


def test_a_port_that_another_trunkline_has_is_said_to_be_so(started: list[Command], services: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        threading.Thread(target=_say_trunkline, args=(taken,), daemon=True).start()
        command = up(started, services, tmp_path, "--port", str(taken.getsockname()[1]))
        assert command.process.wait(30) == 2
    line = command.await_line("already running at http://127.0.0.1:", 10)
    assert "--port" in line and str(tmp_path / "data") in line


def _say_trunkline(server: socket.socket) -> None:
    """What `GET /` of a gateway answers."""
    client, _ = server.accept()
    with client:
        client.recv(4096)
        body = b'{"service": "trunkline"}'
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def test_a_data_directory_that_is_a_file_is_refused_with_the_remedy(started: list[Command], services: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    command = up(started, services, tmp_path)
    assert command.process.wait(30) == 2
    assert "--data-dir" in command.await_line("cannot be used", 10)


def test_a_setting_that_does_not_exist_is_refused_before_anything_starts(started: list[Command], services: Path, tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text("data_dri = '/x'\n")
    command = up(started, services, tmp_path, "--config", str(tmp_path / "t.toml"))
    assert command.process.wait(30) == 2
    assert "'data_dir'" in command.await_line("'data_dri'", 10)


@pytest.mark.kill
def test_a_killed_nats_server_comes_back_at_the_same_address(started: list[Command], services: Path, tmp_path: Path) -> None:
    command = up(started, services, tmp_path)
    command.await_line("is ready at")
    before = child(command, "nats-server")
    [address] = [each.laddr for each in before.net_connections() if each.status == "LISTEN" and each.laddr.port == nats_port(tmp_path)]

    before.kill()

    assert "starting it again in 0.2 s" in command.await_line("nats-server ended (signal 9)")
    until(lambda: nats_listens(command, address.port), 20, command)
    assert command.stop()[0] == 0


@pytest.mark.kill
def test_a_killed_service_of_a_split_stack_is_started_again_and_said(started: list[Command], services: Path, tmp_path: Path) -> None:
    command = up(started, services, tmp_path, "--split")
    command.await_line("is ready at")
    before = child(command, "serve router")

    before.kill()

    assert "starting it again in 0.2 s" in command.await_line("router ended (signal 9)")
    until(lambda: any("serve router" in " ".join(each.cmdline()) for each in command.family()), 20, command)
    assert command.stop()[0] == 0


@pytest.mark.skipif(not campaigns.LONG, reason="a quarter of a minute; `make campaigns` does it")
@pytest.mark.kill
def test_a_killed_nursery_takes_its_services_along_and_all_of_them_come_back(
    started: list[Command], services: Path, tmp_path: Path
) -> None:
    command = up(started, services, tmp_path, "--split")
    url = url_of(command)
    nursery = child(command, "trunkline_cli.nursery")
    lost = [nursery, *nursery.children()]
    assert (len(lost), nursery.num_threads()) == (6, 1)
    for environ in standing(tmp_path):
        environ.unlink()

    nursery.kill()

    assert gone(lost)
    assert "starting it again in 0.2 s" in command.await_line("nursery ended (signal 9)")
    for name in NAMES:
        command.await_line(f"{name} ended (its nursery ended)")
    until(lambda: len(standing(tmp_path)) == 5, 20, command)
    assert answers(f"{url}/health")
    assert command.stop()[0] == 0
    assert str(command).count("drained") == 5


@pytest.mark.skipif(not campaigns.LONG, reason="ten seconds; `make campaigns` does it")
@pytest.mark.kill
def test_a_stop_while_the_nursery_is_away_leaves_nobody_behind(started: list[Command], services: Path, tmp_path: Path) -> None:
    command = up(started, services, tmp_path, "--split")
    command.await_line("is ready at")
    family = command.family()
    child(command, "trunkline_cli.nursery").kill()
    command.await_line("gateway ended (its nursery ended)")
    family += command.family()
    code, seconds = command.stop()
    assert (code, seconds < END_WITHIN) == (0, True), command
    assert gone(family)


def test_a_service_that_cannot_be_imported_says_why_and_the_others_live(started: list[Command], services: Path, tmp_path: Path) -> None:
    (services / "trunkline_relay/wiring.py").write_text("import no_such_module\n")
    command = up(started, services, tmp_path, "--split")
    command.await_line("ModuleNotFoundError: No module named 'no_such_module'")
    assert "starting it again" in command.await_line("relay ended (exit code 1)")
    until(lambda: len(standing(tmp_path)) == 4, 20, command)
    assert command.stop()[0] == 0


def test_a_service_that_falls_in_one_process_is_started_again_and_the_others_go_on(
    started: list[Command], services: Path, tmp_path: Path
) -> None:
    command = up(started, services, tmp_path)
    url = url_of(command)
    (tmp_path / "data" / "fall-relay").touch()

    assert "relay ended (ValueError: it fell); starting it again in 0.2 s" in command.await_line("relay ended")
    assert urllib.request.urlopen(f"{url}/health", timeout=5).status == 200
    (tmp_path / "data" / "fall-relay").touch()
    command.await_line("relay ended", count=2)
    assert command.stop()[0] == 0


@pytest.mark.kill
@pytest.mark.parametrize("mode", [[], ["--split"]][: campaigns.tries(1, 2)], ids=["one process", "split"][: campaigns.tries(1, 2)])
def test_a_killed_up_leaves_no_children_and_the_next_one_starts(
    started: list[Command], services: Path, tmp_path: Path, mode: list[str]
) -> None:
    command = up(started, services, tmp_path, *mode)
    command.await_line("is ready at")
    family = command.family()
    port = nats_port(tmp_path)

    command.process.kill()

    assert gone(family)
    again = up(started, services, tmp_path, *mode)
    again.await_line("is ready at")
    assert nats_port(tmp_path) == port
    assert again.stop()[0] == 0


@pytest.mark.parametrize("mode", [["--split"], []][: campaigns.tries(1, 2)], ids=["split", "one process"][: campaigns.tries(1, 2)])
def test_a_service_that_does_not_drain_is_ended_all_the_same(
    started: list[Command], services: Path, tmp_path: Path, mode: list[str]
) -> None:
    command = up(started, services, tmp_path, *mode, STAND_IN_HANGS="sandbox")
    command.await_line("is ready at")
    family = command.family()
    code, seconds = command.stop()
    assert (code, seconds < END_WITHIN) == (0, True), command
    assert gone(family)


def test_a_second_signal_ends_it_at_once(started: list[Command], services: Path, tmp_path: Path) -> None:
    command = up(started, services, tmp_path, "--split", STAND_IN_HANGS="gateway")
    command.await_line("is ready at")
    family = command.family()
    command.process.send_signal(signal.SIGINT)
    command.await_line("drained gateway")
    code, seconds = command.stop(signal.SIGINT)
    assert (code, seconds < 3) == (130, True)
    assert gone(family)


@pytest.mark.parametrize("mode", [[], ["--split"]], ids=["one process", "split"])
def test_a_service_that_refuses_to_start_ends_the_whole_with_its_reason(
    started: list[Command], services: Path, tmp_path: Path, mode: list[str]
) -> None:
    command = up(started, services, tmp_path, *mode, STAND_IN_REFUSES="sandbox")
    assert command.process.wait(30) == 2, command
    assert "Install it" in command.await_line("no bubblewrap here", 10)
    assert "Install it" in command.lines[0] and "Install it" in command.lines[-1]


def test_running_without_isolation_is_said_at_every_start(started: list[Command], services: Path, tmp_path: Path) -> None:
    command = up(started, services, tmp_path, "--unsafe-local")
    command.await_line("is ready at")
    command.await_line("WITHOUT ISOLATION", 10)


def test_a_service_of_its_own_process_has_only_the_variables_that_it_reads_and_nobody_shows_a_secret(
    started: list[Command], services: Path, tmp_path: Path
) -> None:
    strays = {"AWS_SECRET_ACCESS_KEY": "sk-secret-too", "https_proxy": "http://u:p@proxy.example", "TRUNKLINE_AGENT": "command"}
    needed = {"TRUNKLINE_FAULTS": str(tmp_path), "TZ": "UTC", "LC_TIME": "C"}
    command = up(started, services, tmp_path, "--split", ANTHROPIC_API_KEY="sk-secret", STAND_IN_KEY="its own", **strays, **needed)
    command.await_line("is ready at")
    found = {name: json.loads((tmp_path / f"data/environ-{name}").read_text()) for name in NAMES}

    assert [name for name, environ in found.items() if "STAND_IN_KEY" in environ] == ["sandbox"]
    assert not any("ANTHROPIC_API_KEY" in environ for environ in found.values())
    assert not any(strays.keys() & environ.keys() for environ in found.values())
    assert all(needed.items() <= environ.items() for environ in found.values())
    assert all({"PATH", "HOME"} <= environ.keys() for environ in found.values())
    assert_no_secret_is_shown(command, tmp_path)


def assert_no_secret_is_shown(command: Command, tmp_path: Path) -> None:
    """Not in an environment, not in a command line, not in a file that others may read."""
    password = json.loads((tmp_path / "data/nats/secrets.json").read_text())["control"]
    for name in ("secrets.json", "nats.conf"):
        assert (tmp_path / "data/nats" / name).stat().st_mode & 0o077 == 0
    shown = {" ".join(each.cmdline()): each.environ() for each in command.family()}
    assert len(shown) == 7
    assert not any(secret in words for words in shown for secret in ("sk-secret", password))
    assert not any(secret in repr(environ) for environ in shown.values() for secret in ("sk-secret", password))
    assert "sk-secret" not in psutil.Process(command.process.pid).environ().values()
    assert child(command, "nats-server").environ().keys() <= {"PATH", "LC_CTYPE"}


def answers(url: str) -> bool:
    with suppress(OSError):
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    return False


def nats_port(tmp_path: Path) -> int:
    return int(json.loads((tmp_path / "data/nats/secrets.json").read_text())["clients"])


def nats_listens(command: Command, port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return command.process.poll() is None
