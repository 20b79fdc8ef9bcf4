"""`trunkline agent` finds the agent of a file, says what it lacks, and tells what happens line by line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from trunkline import Agent
from trunkline.contracts.errors import Invalid
from trunkline_cli.agent_lines import document, line
from trunkline_cli.commands.agent import found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "found_here.py").write_text('from trunkline import Agent\nagent = Agent("dev_agent")\nother = Agent("ops_agent")\nno = 1\n')
    (tmp_path / "odd_here.py").write_text('from trunkline import Agent\nagent = Agent("a.b")\n')
    (tmp_path / "lacking_here.py").write_text("import no_such_thing\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_an_agent_is_found_by_module_and_name() -> None:
    assert isinstance(found("found_here"), Agent)
    assert found("found_here:other").pools == ("ops_agent",)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("nowhere", "there is no module 'nowhere'"),
        ("lacking_here", "there is no module 'no_such_thing'"),
        ("found_here:missing", "there is no 'missing' in 'found_here'"),
        ("found_here:no", "is a int, and no trunkline.Agent"),
        ("odd_here", "odd_here: the pool 'a.b' must be"),
        ("", "name the agent: MODULE:NAME"),
    ],
)
def test_what_is_no_agent_is_said(words: str, says: str) -> None:
    with pytest.raises(Invalid) as error:
        found(words)
    assert says in error.value.message and error.value.code == "BAD_AGENT"


def test_a_line_is_one_line_for_people_and_a_document_for_programs() -> None:
    record = logging.getLogger("trunkline.agent").makeRecord(
        "trunkline.agent", logging.WARNING, "f", 1, "agent.task_failed", (), None, extra={"task": "t1", "why": "two\nlines"}
    )
    assert line(record).endswith(" warning agent.task_failed task=t1 why=two lines")
    assert json.loads(document(record)).items() >= {"event": "agent.task_failed", "level": "warning", "why": "two\nlines"}.items()


def test_where_a_handler_broke_is_told_below() -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        record = logging.makeLogRecord(
            {
                "levelno": logging.ERROR,
                "levelname": "ERROR",
                "msg": "agent.handler_raised",
                "exc_info": (KeyError, error, error.__traceback__),
            }
        )
    assert line(record).splitlines()[1].startswith("Traceback")
    assert "KeyError" in json.loads(document(record))["exception"]
