"""What `codex` and `opencode` promise before any of their programs runs: no secret in sight, any line heard, every end judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaigns import tries
from tests.conformance.test_agents import LINES, SHAPED, assert_storable, assert_storable_ending, assert_tellable
from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.agents.codex import CodexAgent, CodexOptions
from trunkline_sandbox.adapters.agents.codex_binary import package_of
from trunkline_sandbox.adapters.agents.opencode import OpencodeOptions, opencode_agent
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.model import AgentTask, Talk, Verdict
from trunkline_sandbox.ports import Agent, Exit, Line

KEYS = DoorKeys(Path("/run/trunkline/doors"), b"secret of this installation")
TRUE = Path("/bin/true")
PROMPT = "fix the login bug; do not say xyzzy aloud"
AGENTS: dict[str, Agent] = {
    "codex": CodexAgent(KEYS, CodexOptions(program=TRUE)),
    "opencode": opencode_agent(KEYS, OpencodeOptions(program=TRUE)),
}
every_agent = pytest.mark.parametrize("agent", AGENTS.values(), ids=list(AGENTS))

METHODS = st.sampled_from(
    "item/started item/completed turn/started turn/completed error serverRequest/resolved thread/tokenUsage/updated warning "
    "item/commandExecution/requestApproval item/fileChange/requestApproval session/update session/request_permission".split()
)
IDS = st.sampled_from(["hs-1", "hs-2", "turn-1", "msg-m-1", "seen-msg-m-1"]) | st.integers() | st.text(max_size=5) | st.none()
INNER = (
    "item type id command changes path kind status turn error codexErrorInfo httpStatusCode tokenUsage total inputTokens threadId "
    "requestId update sessionUpdate toolCallId rawInput toolCall options optionId content text thread sessionId message clientId"
).split()
WORDS = st.sampled_from(
    "commandExecution fileChange agentMessage reasoning tool_call tool_call_update completed in_progress failed".split()
)
DEEP = st.recursive(
    SHAPED | WORDS,
    lambda one: st.dictionaries(st.sampled_from(INNER), one, max_size=6) | st.lists(one, max_size=3),
    max_leaves=20,
)
PARAMS = st.dictionaries(st.sampled_from(INNER), DEEP, max_size=6)
MESSAGES = st.fixed_dictionaries(
    {}, optional={"id": IDS, "method": METHODS, "params": PARAMS | DEEP, "result": PARAMS | DEEP, "error": PARAMS | DEEP}
).map(lambda body: json.dumps(body).encode())


@every_agent
def test_the_task_and_every_secret_stay_out_of_argv_environment_and_files(agent: Agent) -> None:
    launch = agent.launch(AgentTask(PROMPT), "run-1")

    shown = " ".join([*launch.argv, *launch.env.keys(), *launch.env.values(), *map(str, launch.home_files.values())])
    assert "xyzzy" not in shown
    assert "secret of this installation" not in shown
    assert KEYS("run-1").token not in " ".join([*launch.argv, *map(str, launch.home_files.values())])
    assert launch.keep_stdin
    assert launch.ends_with is None


@every_agent
def test_the_model_is_behind_the_door_of_its_own_launch(agent: Agent) -> None:
    one, other = (agent.launch(AgentTask(PROMPT), key) for key in ("run-1", "run-2"))

    assert one.sockets["model"] / "model.sock" == KEYS("run-1").socket
    assert one.forwards == {8091: "/run/host/model/model.sock"}
    assert one.env["TRUNKLINE_MODEL_KEY"] == KEYS("run-1").token != other.env["TRUNKLINE_MODEL_KEY"]


@every_agent
def test_the_same_launch_is_made_again_for_the_same_key(agent: Agent) -> None:
    assert agent.launch(AgentTask(PROMPT), "run-1") == agent.launch(AgentTask(PROMPT), "run-1")


@every_agent
@given(
    lines=st.lists(st.tuples(MESSAGES | LINES, st.sampled_from([False] * 9 + [True]), st.sampled_from([0] * 9 + [5])), max_size=8),
    begun=st.booleans(),
)
@settings(max_examples=tries(20, 10000), deadline=None)
def test_no_line_is_too_strange_to_be_heard(agent: Agent, lines: list[tuple[bytes, bool, int]], begun: bool) -> None:
    talk = Talk(session="s", ready=True, busy=True) if begun else agent.opening(AgentTask(PROMPT), "run-1")
    for number, (data, stderr, cut) in enumerate(lines, 1):
        heard = agent.hear(Line(number, data, stderr, cut), talk)
        talk = heard.talk
        for said in heard.said:
            assert_storable(said, number)
        for entry in heard.owed:
            assert_tellable(entry)
    for entry in (*agent.say(talk, "m-1", PROMPT), *agent.interrupt(talk, "w-1"), *agent.farewell(talk)):
        assert_tellable(entry)
    for entry in [entry for ask in talk.asks for allowed in (True, False) for entry in agent.answer(talk, ask, Verdict(allowed))]:
        assert_tellable(entry)
    assert_storable_ending(agent.outcome(talk, Exit(0)))


@every_agent
@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000,
        b'{"method":' * 50_000,
        b'{"id":0,"method":"\\ud800"}',
        b'{"id":' + b"9" * 5000 + b',"method":"x"}',
        b'{"method":"item/completed","params":{"item":{"type":"agentMessage","text":"' + b"y" * (5 << 20) + b'"}}}',
        b'{"method":"session/update","params":{"update":{"sessionUpdate":"agent_message_chunk","content":{"text":"'
        + b"y" * (5 << 20)
        + b'"}}}}',
        b" " * (5 << 20),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_lines_made_to_break_parsers_are_heard_and_bounded(agent: Agent, data: bytes) -> None:
    for said in agent.hear(Line(1, data), Talk(ready=True)).said:
        assert_storable(said, 1)


@every_agent
@pytest.mark.parametrize(
    ("exit", "code", "recoverable"),
    [
        (Exit(0), "AGENT_FAILED", False),
        (Exit(None, signal=11), "AGENT_FAILED", True),
        (Exit(None, signal=9, cause="wall"), "AGENT_TIMEOUT", False),
        (Exit(None, signal=9, cause="disk"), "AGENT_DISK_LIMIT", False),
        (Exit(None, cause="lost"), "AGENT_LOST", True),
        (Exit(0, dropped=9), "AGENT_OUTPUT_LIMIT", False),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
def test_an_agent_that_does_not_end_well_fails_with_a_code_of_its_cause(agent: Agent, exit: Exit, code: str, recoverable: bool) -> None:
    ending = agent.outcome(agent.opening(AgentTask(PROMPT), "run-1"), exit)

    assert (ending.ok, ending.code, ending.recoverable) == (False, code, recoverable)
    assert len(ending.error) > 20


@every_agent
def test_it_cannot_be_spoken_to_before_its_conversation_stands(agent: Agent) -> None:
    talk = agent.opening(AgentTask(PROMPT), "run-1")

    assert not talk.ready
    assert talk.busy
    assert (agent.say(talk, "m-1", "Hello."), agent.interrupt(talk, "w-1")) == ((), ())


@every_agent
def test_another_input_than_was_asked_about_is_never_a_yes(agent: Agent) -> None:
    asked = {
        "codex": {"id": 0, "method": "item/commandExecution/requestApproval", "params": {"itemId": "c", "command": "ls"}},
        "opencode": {
            "id": 0,
            "method": "session/request_permission",
            "params": {
                "toolCall": {"toolCallId": "c", "title": "bash", "rawInput": {"command": "ls"}},
                "options": [{"optionId": "once", "kind": "allow_once"}, {"optionId": "reject", "kind": "reject_once"}],
            },
        },
    }
    talk = agent.hear(Line(1, json.dumps(asked[agent.name]).encode()), Talk(session="s", ready=True, busy=True)).talk
    (ask,) = talk.asks

    yes, other, no = (
        agent.answer(talk, ask, verdict)[0].data for verdict in (Verdict(True), Verdict(True, input={"command": "rm"}), Verdict(False))
    )
    assert other == no != yes


@pytest.mark.parametrize(("agent", "told"), [("codex", "make agents"), ("opencode", "make agents")])
def test_a_program_that_is_not_there_is_refused_with_the_remedy(agent: str, told: str, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    made = CodexAgent(KEYS, CodexOptions(absent)) if agent == "codex" else opencode_agent(KEYS, OpencodeOptions(absent))

    with pytest.raises(Invalid, match=told) as refused:
        made.launch(AgentTask(PROMPT), "k")
    assert refused.value.code == "AGENT_NOT_FOUND"


def test_a_program_is_found_on_the_path_but_not_as_a_wrapper_script(tmp_path: Path) -> None:
    program = _file(tmp_path / "b" / "codex", b"\x7fELF...")
    wrapper = _file(tmp_path / "a" / "codex", b"#!/usr/bin/env node\n")

    found = CodexAgent(KEYS, CodexOptions(search_path=str(program.parent))).launch(AgentTask(PROMPT), "k")
    assert found.tools == {"/opt/agent/codex": program}
    assert found.argv[0] == "/opt/agent/codex"
    try:
        other = CodexAgent(KEYS, CodexOptions(search_path=str(wrapper.parent))).launch(AgentTask(PROMPT), "k")
        assert wrapper not in other.tools.values()
    except Invalid as refused:
        assert refused.code == "AGENT_NOT_FOUND"


def test_codex_is_shown_with_the_folder_that_it_brings_along(tmp_path: Path) -> None:
    program = _file(tmp_path / "codex_cli_bin" / "bin" / "codex", b"\x7fELF...")
    _file(tmp_path / "codex_cli_bin" / "codex-package.json", b"{}")

    launch = CodexAgent(KEYS, CodexOptions(program)).launch(AgentTask(PROMPT), "k")

    assert package_of(program) == tmp_path / "codex_cli_bin"
    assert launch.tools == {"/opt/agent/codex": tmp_path / "codex_cli_bin"}
    assert launch.argv == ("/opt/agent/codex/bin/codex", "app-server")


def test_opencode_asks_about_what_acts_where_somebody_rules_and_about_all_where_that_is_wanted() -> None:
    def permission(**more: object) -> dict[str, str]:
        launch = AGENTS["opencode"].launch(AgentTask(PROMPT, **more), "k")  # type: ignore[arg-type]
        told: dict[str, str] = json.loads(launch.env["OPENCODE_CONFIG_CONTENT"])["permission"]
        return told

    assert permission() == {"*": "allow", "question": "deny"}
    assert permission(supervised=True)["*"] == "allow"
    assert permission(supervised=True)["bash"] == permission(supervised=True)["edit"] == "ask"
    assert permission(supervised=True, asked_always=("*",))["*"] == "ask"


def _file(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path
