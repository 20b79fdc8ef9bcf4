"""What every agent promises: started without secrets in sight, understood whatever it writes, judged by one table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.campaigns import tries
from trunkline.contracts.errors import Invalid
from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.agents.command import CommandAgent
from trunkline_sandbox.adapters.agents.wording import telling
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.model import AgentTask, Ending, Entry, Talk, Verdict
from trunkline_sandbox.ports import Agent, Exit, Line

KEYS = DoorKeys(Path("/run/trunkline/doors"), b"secret of this installation")
TRUE = Path("/bin/true")
PROMPT = "fix the login bug; do not say xyzzy aloud"

AGENTS: dict[str, Agent] = {
    "command": CommandAgent("python3 -m fixer --fast"),
    "command, spoken to": CommandAgent("python3 -m fixer --fast", duplex=True),
    "claude": ClaudeAgent(KEYS, ClaudeOptions(program=TRUE)),
}
every_agent = pytest.mark.parametrize("agent", AGENTS.values(), ids=list(AGENTS))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TYPES = (
    "assistant user system result api_retry tool_call tool_result thinking message usage text tool_use init control_request "
    "control_response control_cancel_request command_lifecycle session_state_changed can_use_tool session heard turn_over "
    "permission_request permission_dropped"
).split()
NAMES = (
    "type subtype message content text thinking tool input output ok error summary is_error result modelUsage usage errors request_id "
    "request response state command_uuid isReplay description session permission_denials terminal_reason api_error_status error_status "
    "retry_delay_ms total_cost_usd tool_use_id id name display"
).split()
SHAPED = st.recursive(
    JSON | st.sampled_from(TYPES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), SHAPED, max_size=8).flatmap(
    lambda body: st.sampled_from(TYPES).map(lambda kind: json.dumps({**body, "type": kind}).encode())
)
LINES = st.binary(max_size=300) | st.text().map(lambda text: text.encode("utf-8", "replace")) | OBJECTS


@every_agent
def test_the_task_and_every_secret_stay_out_of_argv_and_the_environment(agent: Agent) -> None:
    launch = agent.launch(AgentTask(PROMPT), "run-1")

    shown = " ".join([*launch.argv, *launch.env.keys(), *launch.env.values()])
    assert "xyzzy" not in shown
    assert "secret of this installation" not in shown
    assert b"xyzzy" in launch.stdin
    assert launch.keep_stdin is agent.skill.steer


@every_agent
def test_the_same_launch_is_made_again_for_the_same_key(agent: Agent) -> None:
    assert agent.launch(AgentTask(PROMPT), "run-1") == agent.launch(AgentTask(PROMPT), "run-1")


@every_agent
def test_a_task_of_any_text_and_100_kib_can_be_launched(agent: Agent) -> None:
    for prompt in ("", "x" * 102_400, "line\nline\r\n\0 \ud800 ☃", '{"type":"user"}'):
        assert agent.launch(AgentTask(prompt), "run-1").stdin.count(b"\n") <= max(1, prompt.count("\n"))


@every_agent
@given(lines=st.lists(st.tuples(LINES, st.booleans(), st.sampled_from([0, 0, 5])), max_size=6))
@settings(max_examples=tries(25, 5000), deadline=None)
def test_no_line_is_too_strange_to_be_heard(agent: Agent, lines: list[tuple[bytes, bool, int]]) -> None:
    talk = agent.opening(AgentTask(PROMPT), "run-1")
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


def assert_storable(said: AgentOutput, number: int) -> None:
    assert (said.line, said.attempt) == (number, 0)
    assert len(said.text.encode()) <= 16 << 10
    assert len(said.display) <= 200
    assert said.display.isprintable() or not any(ord(letter) < 32 or ord(letter) == 127 for letter in said.display)
    assert AgentOutput.model_validate_json(said.model_dump_json()) == said


def assert_tellable(entry: Entry) -> None:
    """An id that a journal can hold, and at most one line that is JSON."""
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,100}", entry.id)
    assert entry.data.count(b"\n") == (1 if entry.data else 0)
    assert entry.close or json.loads(entry.data)


def assert_storable_ending(ending: Ending) -> None:
    assert len(TypeAdapter(Ending).dump_json(ending)) < 16 << 10
    assert ending.ok or (ending.code and ending.error)


@every_agent
@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000,
        b'{"type":' * 50_000,
        b'{"type":"message","text":"\\ud800"}',
        b'{"type":"assistant","message":{"content":[{"type":"text","text":"\\udfff"}]}}',
        b'{"type":"usage","input_tokens":' + b"9" * 5000 + b"}",
        b'{"type":"result","total_cost_usd":' + b"9" * 5000 + b"}",
        b"\x00\xff\xfe" * 1000,
        b"\x1b]" + b"x" * (5 << 20),
        b'{"type":"message","text":"' + b"y" * (5 << 20) + b'"}',
        b" " * (5 << 20),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_lines_made_to_break_parsers_are_heard_and_bounded(agent: Agent, data: bytes) -> None:
    for said in agent.hear(Line(1, data), Talk()).said:
        assert_storable(said, 1)


@every_agent
def test_outputs_come_in_the_order_of_the_lines(agent: Agent) -> None:
    lines = [b"one", b'{"type":"thinking","text":"two"}', b"three"]

    said = [said.line for number, data in enumerate(lines, 1) for said in agent.hear(Line(number, data), Talk()).said]

    assert said == [1, 2, 3]


@every_agent
@pytest.mark.parametrize(
    ("exit", "code", "recoverable"),
    [
        (Exit(3), "AGENT_FAILED", False),
        (Exit(None, signal=11), "AGENT_FAILED", True),
        (Exit(None, signal=9, cause="wall"), "AGENT_TIMEOUT", False),
        (Exit(None, signal=9, cause="disk"), "AGENT_DISK_LIMIT", False),
        (Exit(None, signal=9, cause="memory"), "AGENT_MEMORY_LIMIT", False),
        (Exit(None, cause="lost"), "AGENT_LOST", True),
        (Exit(None, signal=9, cause="killed"), "AGENT_KILLED", True),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
def test_an_agent_that_does_not_end_well_fails_with_a_code_of_its_cause(agent: Agent, exit: Exit, code: str, recoverable: bool) -> None:
    ending = agent.outcome(Talk(), exit)

    assert (ending.ok, ending.code, ending.recoverable) == (False, code, recoverable)
    assert len(ending.error) > 20


@every_agent
def test_the_last_words_on_stderr_stand_in_the_sentence_of_a_failure(agent: Agent) -> None:
    talk = agent.hear(Line(1, b"out of cheese", stderr=True), Talk()).talk

    assert "out of cheese" in agent.outcome(talk, Exit(1)).error


def test_a_command_that_exits_with_zero_did_well_without_saying_so() -> None:
    assert AGENTS["command"].outcome(Talk(), Exit(0)) == Ending(ok=True)


def test_claude_without_a_result_failed_whatever_its_exit_code() -> None:
    assert AGENTS["claude"].outcome(Talk(), Exit(0)).code == "AGENT_FAILED"


@pytest.mark.parametrize("exit", [Exit(1), Exit(None, signal=9, cause="killed"), Exit(None, signal=9, cause="wall")])
def test_what_claude_said_of_its_end_holds_whatever_the_exit(exit: Exit) -> None:
    said = Ending(ok=True, summary="done")

    assert AGENTS["claude"].outcome(Talk(ending=said), exit) == said


def test_a_full_disk_fails_even_an_agent_that_said_it_did_well() -> None:
    assert AGENTS["claude"].outcome(Talk(ending=Ending(ok=True)), Exit(None, 9, "disk")).code == "AGENT_DISK_LIMIT"


def test_claude_whose_result_was_beyond_the_output_limit_fails_for_that() -> None:
    assert AGENTS["claude"].outcome(Talk(), Exit(0, dropped=9)).code == "AGENT_OUTPUT_LIMIT"


def test_the_task_of_a_command_is_in_its_file_too() -> None:
    launch = AGENTS["command"].launch(AgentTask(PROMPT), "run-1")

    assert launch.argv == ("python3", "-m", "fixer", "--fast")
    assert launch.files[launch.env["TRUNKLINE_TASK_FILE"]] == launch.stdin == PROMPT.encode()


@pytest.mark.parametrize("command", ["", "   ", "''", "say 'half", "a\0b"])
def test_a_command_that_is_not_configured_is_refused_with_the_remedy(command: str) -> None:
    with pytest.raises(Invalid, match="TRUNKLINE_AGENT_COMMAND") as refused:
        CommandAgent(command).launch(AgentTask(PROMPT), "run-1")
    assert refused.value.code == "AGENT_NOT_CONFIGURED"


def test_claude_ignores_what_the_repository_wants_of_it_unless_it_is_trusted() -> None:
    wary = AGENTS["claude"].launch(AgentTask(PROMPT), "k").argv
    trusting = ClaudeAgent(KEYS, ClaudeOptions(program=TRUE, trust_repository=True)).launch(AgentTask(PROMPT), "k").argv

    assert wary[wary.index("--setting-sources") + 1] == "user"
    assert "--strict-mcp-config" in wary
    assert trusting[trusting.index("--setting-sources") + 1] == "user,project"


def test_claude_reaches_its_model_by_the_door_of_its_own_launch() -> None:
    one, other = (AGENTS["claude"].launch(AgentTask(PROMPT), key) for key in ("run-1", "run-2"))

    assert one.sockets["model"] / "model.sock" == KEYS("run-1").socket
    assert one.env["ANTHROPIC_UNIX_SOCKET"] == "/run/host/model/model.sock"
    assert one.env["ANTHROPIC_API_KEY"] == KEYS("run-1").token != other.env["ANTHROPIC_API_KEY"]


def test_claude_is_found_on_the_path_but_not_as_a_wrapper_script(tmp_path: Path) -> None:
    wrapper, program = tmp_path / "a" / "claude", tmp_path / "b" / "claude"
    for path, content in ((wrapper, b"#!/usr/bin/env node\n"), (program, b"\x7fELF...")):
        path.parent.mkdir()
        path.write_bytes(content)
        path.chmod(0o755)

    def launched(search_path: Path) -> Path:
        agent = ClaudeAgent(KEYS, ClaudeOptions(search_path=str(search_path)))
        return agent.launch(AgentTask(PROMPT), "k").tools["/opt/agent/claude"]

    assert launched(program.parent) == program
    try:
        assert launched(wrapper.parent) != wrapper
    except Invalid as refused:
        assert refused.code == "AGENT_NOT_FOUND"


def test_a_claude_that_is_not_there_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="pip install claude-agent-sdk") as refused:
        ClaudeAgent(KEYS, ClaudeOptions(program=tmp_path / "claude")).launch(AgentTask(PROMPT), "k")
    assert refused.value.code == "AGENT_NOT_FOUND"


def test_claude_begins_a_conversation_whose_name_is_known_beforehand() -> None:
    agent = AGENTS["claude"]
    session = agent.opening(AgentTask(PROMPT), "run-1").session

    assert f"--session-id={session}" in agent.launch(AgentTask(PROMPT), "run-1").argv
    assert agent.opening(AgentTask(PROMPT), "run-2").session != session


def test_claude_goes_on_with_a_conversation_or_forks_it() -> None:
    agent = AGENTS["claude"]
    resumed, forked = AgentTask(PROMPT, session="s-1"), AgentTask(PROMPT, session="s-1", fork=True)
    going, apart = agent.launch(resumed, "run-1").argv, agent.launch(forked, "run-1").argv
    other = agent.opening(forked, "run-1").session

    assert agent.opening(resumed, "run-1").session == "s-1" != other
    assert [word for word in going if "session" in word or "resume" in word] == ["--resume=s-1"]
    assert [word for word in apart if "session" in word or "resume" in word] == ["--resume=s-1", "--fork-session", f"--session-id={other}"]


def test_claude_is_supervised_only_when_the_task_is() -> None:
    free = AGENTS["claude"].launch(AgentTask(PROMPT), "k").argv
    bound = AGENTS["claude"].launch(AgentTask(PROMPT, supervised=True), "k").argv

    assert free[free.index("--permission-mode") + 1] == "bypassPermissions"
    assert "--permission-prompt-tool" not in free
    assert bound[bound.index("--permission-mode") + 1] == "default"
    assert bound[bound.index("--permission-prompt-tool") + 1] == "stdio"


def test_claude_sets_a_hook_only_where_it_is_asked_about_more_than_it_would_ask_itself() -> None:
    plain, bound = (
        AGENTS["claude"].launch(AgentTask(PROMPT, supervised=True, asked_always=always), "k").stdin for always in ((), ("Read",))
    )

    assert plain.count(b"\n") == 1
    hook, said = bound.splitlines()
    assert (json.loads(hook)["request"]["hooks"]["PreToolUse"][0]["onFailure"], b"xyzzy" in said) == ("block", True)


def test_a_conversation_that_only_waits_for_what_comes_is_at_rest() -> None:
    task = AgentTask("", session="s-1")

    assert not AGENTS["claude"].opening(task, "k").busy
    assert not AGENTS["command, spoken to"].opening(task, "k").busy
    assert AGENTS["claude"].launch(task, "k").stdin == b""


def test_claude_at_work_is_interrupted_before_it_is_sent_home() -> None:
    agent = AGENTS["claude"]

    assert [entry.id for entry in agent.farewell(Talk(busy=True))] == ["interrupt-farewell", "close"]
    assert [entry.id for entry in agent.farewell(Talk())] == ["close"]


@pytest.mark.parametrize(
    ("input", "told"),
    [
        ({"command": "ls -l\n" + "x" * 9000, "description": "list"}, "ls -l\n" + "x" * 9000),
        ({"file_path": "/workspace/src/a.py", "content": "x"}, "src/a.py"),
        ({"file_path": "src/../../etc/passwd"}, "/etc/passwd"),
        ({"file_path": "/workspace/src//../b.py"}, "b.py"),
        ({"notebook_path": "/workspace/n.ipynb"}, "n.ipynb"),
        ({"pattern": "x", "path": "src"}, '{"path":"src","pattern":"x"}'),
        ({"command": "ls", "file_path": "/x"}, '{"command":"ls","file_path":"/x"}'),
        ({"command": ["ls"]}, '{"command":["ls"]}'),
    ],
)
def test_rules_look_at_the_whole_of_what_a_call_is_about(input: dict[str, object], told: str) -> None:
    assert telling(input, "/workspace") == told
