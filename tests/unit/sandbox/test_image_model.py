"""An image, told in sentences; and Dockerfiles, read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.each import each
from trunkline.contracts.errors import Invalid, Unsupported
from trunkline.contracts.image import Drop, ImageBuilt, ImageFailed, ImageInvalidated, ImageStatus, ImageWanted, image_name
from trunkline.contracts.message import Fact
from trunkline_sandbox.model.dockerfile import filled, instructions
from trunkline_sandbox.model.image import Built, Cue, DecideImage, Failed, Image, Invalidate, Need, Recipe, evolve, image_id
from trunkline_sandbox.model.local_steps import CopyStep, Note, RunStep, Steps, steps

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
decide = DecideImage(pause_s=60)


class Told:
    def __init__(self) -> None:
        self.image: Image | None = None

    def tell(self, seconds: float, cue: Cue) -> tuple[Fact, ...]:
        facts = decide(self.image, cue)
        for fact in facts:
            self.image = evolve(self.image, fact, later(seconds))
        return facts

    def need(self, seconds: float) -> str:
        """The name under which it is built now; empty when nothing follows."""
        facts = self.tell(seconds, Need(later(seconds), "local", "d"))
        assert all(isinstance(fact, ImageWanted) for fact in facts)
        return self.image.name if facts and self.image else ""


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_name_says_when_it_was_built_as_the_document_shows() -> None:
    assert image_name(datetime(2025, 8, 18, 18, 16, 29, 74_000, tzinfo=UTC)) == "omni-snapshot-2025-08-18T18-16-29-074Z"


def test_however_many_need_it_it_is_built_once_and_then_kept() -> None:
    told = Told()
    name = told.need(0)
    assert name and not any(told.need(second / 10) for second in range(1, 65))
    assert told.tell(70, Built(name)) == (ImageBuilt(name=name),)
    assert not told.need(1e6) and told.image and decide.view("t", "i", "local", told.image).status is ImageStatus.READY


def test_one_that_was_invalidated_is_built_again_under_another_name() -> None:
    told = Told()
    first = told.need(0)
    told.tell(1, Built(first))
    assert told.tell(2, Invalidate(Drop.ASKED, by="ann")) == (ImageInvalidated(name=first, why=Drop.ASKED, by="ann"),)
    assert told.tell(2, Invalidate(Drop.ASKED, by="ann")) == ()
    assert told.need(2) > first


def test_a_build_that_was_invalidated_on_its_way_counts_no_more() -> None:
    told = Told()
    first = told.need(0)
    told.tell(0, Invalidate(Drop.ASKED))
    second = told.need(0)
    assert second > first
    assert told.tell(5, Built(first)) == () and told.tell(5, Failed(first, "X", "no")) == ()
    assert told.tell(6, Built(second)) == (ImageBuilt(name=second),)


def test_only_the_one_that_is_lost_is_given_up() -> None:
    told = Told()
    name = told.need(0)
    told.tell(1, Built(name))
    assert told.tell(2, Invalidate(Drop.LOST, "omni-snapshot-other")) == () and told.tell(2, Invalidate(Drop.LOST, name))


def test_one_that_failed_is_tried_again_after_a_while_and_each_time_later() -> None:
    told = Told()
    first = told.need(0)
    assert told.tell(10, Failed(first, "X", "line 2")) == (ImageFailed(name=first, code="X", error="line 2"),)
    assert not told.need(11) and not told.need(69)
    second = told.need(70)
    assert second > first
    told.tell(80, Failed(second, "X", "line 2"))
    assert told.image and decide.retry_at(told.image) == later(200)
    assert not told.need(199)
    third = told.need(200)
    assert third > second
    told.tell(201, Built(third))
    assert told.image and told.image.failures == 0 and decide.retry_at(told.image) is None


def test_whoever_invalidates_one_that_failed_need_not_wait() -> None:
    told = Told()
    told.tell(10, Failed(told.need(0), "X", "line 2"))
    told.tell(11, Invalidate(Drop.ASKED))
    assert told.need(11)


def test_a_build_that_nobody_ends_is_given_up_and_begun_anew() -> None:
    told = Told()
    first = told.need(0)
    assert not told.need(1900) and told.need(1921) > first


def test_another_dockerfile_and_another_provider_are_another_image() -> None:
    ids = {image_id(provider, Recipe.of(text).digest) for provider in ("local", "cloud") for text in ("FROM a", "FROM b")}
    assert len(ids) == 4


def test_nothing_was_built_to_be_invalidated() -> None:
    assert decide(None, Invalidate(Drop.ASKED)) == () and decide(None, Built("x")) == ()


def read(text: str) -> Steps:
    return steps(text, {"PATH": "/usr/bin", "HOME": "/home/agent"})


def test_a_dockerfile_becomes_steps() -> None:
    told = read(
        "# syntax=docker/dockerfile:1\nARG BASE=scratch\nFROM ${BASE} AS it\nARG VERSION=1.2\nENV TOOLS=/home/agent/tools \\\n"
        '  # a comment between\n  PATH="/home/agent/tools/bin:$PATH" GREETING="good day"\nWORKDIR src\nCOPY --chown=1000 a* "b c" ./\n'
        'RUN echo $VERSION && \\\n    make\nRUN ["/bin/echo", "$x"]\nWORKDIR /home/agent\nCOPY main.py tool-${VERSION:-0}.py\n'
        'CMD ["sleep"]\n'
    )
    assert told.env == {"TOOLS": "/home/agent/tools", "PATH": "/home/agent/tools/bin:/usr/bin", "GREETING": "good day"}
    doing = [step for step in told.steps if not isinstance(step, Note)]
    copy, run, listed, last = doing
    assert isinstance(copy, CopyStep) and (copy.line, copy.sources, copy.target) == (9, ("a*", "b c"), "/workspace/src/")
    assert isinstance(run, RunStep) and run.argv == ("/bin/sh", "-c", "echo $VERSION && make") and run.workdir == "/workspace/src"
    assert run.line == 10 and run.env == {"VERSION": "1.2", **told.env}
    assert isinstance(listed, RunStep) and listed.argv == ("/bin/echo", "$x")
    assert isinstance(last, CopyStep) and (last.sources, last.target) == (("main.py",), "/home/agent/tool-1.2.py")
    assert "passed over" in told.steps[-1].text


@each(
    ("text", "line"),
    [
        ("FROM node:20", 1),
        ("FROM --platform=linux/amd64 scratch", 1),
        ("FROM scratch\n\nFROM scratch", 3),
        ("FROM scratch\nADD https://example.com/x /workspace/x", 2),
        ("FROM scratch\nRUN --mount=type=cache,target=/x make", 2),
        ("FROM scratch\nRUN cat <<EOF\nx\nEOF", 2),
        ("FROM scratch\nCOPY --from=0 a b", 2),
        ("FROM scratch\nCOPY a /etc/a", 2),
        ("FROM scratch\nWORKDIR /workspace/../opt", 2),
        ("FROM scratch\nWORKDIR /workspaces", 2),
        ("FROM scratch\nUSER root", 2),
        ("FROM scratch\nVOLUME /data", 2),
        ("# escape=`\nFROM scratch", 1),
    ],
)
def test_what_cannot_be_done_here_is_refused_by_its_line(text: str, line: int) -> None:
    with pytest.raises(Unsupported, match=f"line {line}:") as refused:
        read(text)
    assert (refused.value.code, refused.value.details["line"]) == ("DOCKERFILE_UNSUPPORTED", line)


@each(
    "text",
    [
        "", "# nothing", "RUN make", "FROM scratch\nMAKE it", "FROM scratch\nRUN", "FROM scratch\nCOPY a", "FROM scratch\nCOPY ../a b",
        "FROM scratch\nENV A=1 B", "FROM scratch\nENV 1A=1", "FROM scratch\nCOPY 'a b", 'FROM scratch\nRUN ["a", 1]', "FROM scratch\0",
        "FROM scratch\n" + "RUN true\n" * 9000, "ARG A=1",
    ],
)  # fmt: skip
def test_what_is_no_dockerfile_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)
    assert refused.value.code == "DOCKERFILE_INVALID"


def test_variables_are_filled_in() -> None:
    known = {"A": "1", "E": ""}
    assert filled(r"$A ${A} ${E:-x} ${A:+y} ${E:+z} \$A $none.", known) == "1 1 x y  $A ."


def test_lines_are_joined_and_keep_their_number() -> None:
    assert [(each.line, each.text) for each in instructions("\n# c\nfrom scratch\nrun a \\\n\n  b\nrun c")] == [
        (3, "FROM scratch"),
        (4, "RUN a b"),
        (7, "RUN c"),
    ]
