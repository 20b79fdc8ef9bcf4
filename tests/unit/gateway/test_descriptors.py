"""How many streams go with how many open files."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from trunkline_gateway.adapters.descriptors import SPARE, fitting, room, taken


@pytest.mark.parametrize(
    ("streams", "files", "fit"),
    [(10_000, 20_000, 10_000), (10_000, 11_000, 10_000), (10_000, 10_999, 9_999), (10_000, 1024, 512)],
)
def test_streams_leave_files_for_everything_else(streams: int, files: int, fit: int) -> None:
    assert fitting(streams, files) == fit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_is_raised_as_far_as_it_goes(limits: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, limits[1]))
    assert room(100) == 100
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (SPARE + 100, limits[1])


def test_too_few_files_are_said_aloud_and_fewer_are_let_in(limits: tuple[int, int]) -> None:
    with capture_logs() as lines:
        streams = 1 << 40
        fit = room(streams) if limits[1] != resource.RLIM_INFINITY else fitting(streams, 1 << 20)
    assert fit < streams
    assert limits[1] == resource.RLIM_INFINITY or lines[0]["event"] == "gateway.few_open_files"


@pytest.mark.parametrize(("files", "connections"), [(20_000, 10_500), (11_000, 10_500), (1024, 824)])
def test_streams_never_take_all_connections(files: int, connections: int) -> None:
    assert taken(10_000, files) == connections
    assert fitting(10_000, files) < connections < files
