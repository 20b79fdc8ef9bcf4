"""Dockerfiles as the builders of clouds are given them: what is carried there, and which line asks for more."""

from __future__ import annotations

import pytest

from tests.each import each
from trunkline.contracts.errors import DomainError
from trunkline_sandbox.adapters.providers.daytona.images import DaytonaImages
from trunkline_sandbox.adapters.providers.e2b.images import E2bImages
from trunkline_sandbox.adapters.providers.remote.image_cloud import called, prefix
from trunkline_sandbox.model.cloud_steps import Builder, copies

DAYTONA, E2B = DaytonaImages.builder, E2bImages.builder
BOTH = pytest.mark.parametrize("builder", [DAYTONA, E2B], ids=["daytona", "e2b"])


def refused(text: str, builder: Builder) -> str:
    with pytest.raises(DomainError) as error:
        copies(text, builder)
    assert error.value.code in ("DOCKERFILE_INVALID", "DOCKERFILE_UNSUPPORTED")
    return error.value.message


@BOTH
def test_what_is_copied_is_what_is_carried(builder: Builder) -> None:
    text = 'ARG V=3\nFROM python:$V\nUSER root\nCOPY --chown=a:b tools/ *.txt /opt/\nCOPY ["a b", "./"]\nENV A=1\nCMD x\n'
    assert [(step.line, step.sources) for step in copies(text, builder)] == [(4, ("tools/", "*.txt")), (5, ("a b",))]


@BOTH
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("MAKE it", "no such instruction"), ("RUN", "says nothing more"), ("COPY a", "where to"), ("COPY ../a b", "leads out"),
        ("COPY a/../../b c", "leads out"), ("COPY /etc/passwd b", "without a / before it"), ("COPY $A b", "not filled in"),
        ("ADD a b", ""), ("COPY <<E b", "not read here"), ("FROM scratch", ""), ("COPY 'a b", "No closing quotation"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_line(builder: Builder, line: str, says: str) -> None:
    told = refused(f"FROM python:3\n{line}\n", builder)
    assert told.startswith(f"line 2: {line}") and says in told


@BOTH
def test_it_begins_with_an_image_in_which_something_runs(builder: Builder) -> None:
    assert "nothing would run in it" in refused("FROM scratch\nCOPY a b", builder)
    assert "only ARG may stand before FROM" in refused("RUN true\nFROM python:3", builder)
    assert "begins with FROM" in refused("ARG A=1", builder) and "is empty" in refused("", builder)


def test_daytona_builds_several_stages_and_fetches() -> None:
    first = "FROM golang AS made\nCOPY src ./\nRUN --mount=type=cache,target=/x go build\n"
    text = f"{first}FROM python:3\nCOPY --from=made /a /b\nADD https://x.org/y /z\n"
    assert [step.sources for step in copies(text, DAYTONA)] == [("src",)]
    assert copies("FROM --platform=linux/amd64 python:3", DAYTONA) == ()


@each(
    "line",
    [
        "FROM python:3", "COPY --from=made /a /b", "ADD https://x.org/y /z", "HEALTHCHECK NONE", 'SHELL ["/bin/bash"]', "STOPSIGNAL 9",
        "RUN --mount=type=cache,target=/x true", "COPY --link a b", "ONBUILD RUN x",
    ],
)  # fmt: skip
def test_what_e2b_drops_or_cannot_is_refused(line: str) -> None:
    assert refused(f"FROM python:3\n{line}", E2B).startswith(f"line 2: {line}: E2B")


def test_names_sort_by_the_time_and_tell_fleets_apart() -> None:
    names = [f"omni-snapshot-2026-11-22T04-00-00-{milli:03}Z" for milli in (0, 7, 10)] + ["omni-snapshot-2026-11-22T04-00-00-010Z-2"]
    there = [called("Fleet", name) for name in names]
    assert there == sorted(there) and there[0] == "fleet-omni-snapshot-2026-11-22t04-00-00-000z"
    assert all(name.startswith(prefix("Fleet")) and not name.startswith(prefix("other")) for name in there)
