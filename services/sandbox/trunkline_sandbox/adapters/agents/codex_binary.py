"""Where the Codex program is, with the folder that it brings along."""

from __future__ import annotations

from pathlib import Path

from trunkline_sandbox.adapters.agents.binaries import Wanted, find_program, in_modules, in_package

_CODEX = Wanted("codex", "Codex", "install it with `make agents` (package openai-codex-cli-bin), or set the path of the codex program")
_NPM = "codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"
_LABEL = "codex-package.json"


def find_codex(configured: Path | None = None, search_path: str | None = None) -> Path:
    """Raises Invalid AGENT_NOT_FOUND with the remedy."""
    return find_program(_CODEX, configured, search_path, [*in_package("codex_cli_bin", "bin/codex"), *in_modules(_NPM)])


def package_of(program: Path) -> Path:
    """The folder to be shown inside: Codex looks beside itself for the tools that it brings along. A lone program is shown alone."""
    folder = program.parent.parent
    return folder if program.parent.name == "bin" and (folder / _LABEL).is_file() else program
