"""Every knob of the sandbox service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from trunkline.bus import BusSettings


class Settings(BusSettings):
    """Where agents run, which, with what limits, and where their work goes."""

    data_dir: Path = Field(Path("~/.local/share/trunkline"), description="Below the user's own folder: needs nobody else's rights.")
    public_url: str = Field("http://127.0.0.1:8787", description="The gateway's default address; pull request links begin with it.")
    forge: Literal["local"] = Field("local", description="Bare repositories in a folder: works with no account anywhere.")
    forge_root: Path | None = Field(None, description="Unset: the folder `forge` in the data directory.")
    agent: Literal["command", "claude"] = Field("claude", description="The coding agent that most people have.")
    agent_command: str = Field("", description="Empty: there is no sensible default for a program of yours.")
    agent_repo_config: bool = Field(False, description="What a repository says to the agent's own settings and hooks is code of strangers.")
    claude_path: Path | None = Field(None, description="Unset: `claude` in PATH, else the one in the package claude-agent-sdk.")
    anthropic_api_key: SecretStr = Field(
        SecretStr(""), description="Stays in this service; agents never see it.", json_schema_extra={"env": "ANTHROPIC_API_KEY"}
    )
    anthropic_base_url: str = Field(
        "https://api.anthropic.com", description="The model's own address.", json_schema_extra={"env": "ANTHROPIC_BASE_URL"}
    )
    sandbox: Literal["local"] = Field("local", description="This machine: nothing to sign up for.")
    unsafe_local: bool = Field(False, description="Without isolation an agent can do whatever you can; only you can want that.")
    egress: tuple[str, ...] = Field((), description="Agents reach no host unless it is named here (`name` or `name:port`).")
    runs: int = Field(4, ge=1, le=256, description="Two agents per core of a small machine; each waits for its model most of the time.")
    cpus: float = Field(1.0, gt=0, description="One core per agent leaves the others theirs.")
    memory_mb: int = Field(2048, ge=64, description="Coding agents need some 300 MB; compilers and test suites the rest.")
    processes: int = Field(512, ge=8, description="Enough for parallel builds, too little for a fork bomb.")
    disk_mb: int = Field(4096, ge=16, description="A large repository with its dependencies.")
    file_mb: int = Field(1024, ge=1, description="No source file is larger; a runaway log is.")
    output_mb: int = Field(16, ge=1, description="Hours of an agent's talk; what is beyond it is counted and dropped.")
    repository_mb: int = Field(2048, ge=1, description="Larger than nearly every repository, smaller than a disk.")

    @property
    def folder(self) -> Path:
        """Where runs and their sandboxes live while they are needed."""
        return self.data_dir.expanduser().absolute() / "sandbox"

    @property
    def boxes(self) -> Path:
        """The local provider's sandboxes."""
        return self.folder / "boxes"

    @property
    def repositories(self) -> Path:
        return self.forge_root or self.data_dir.expanduser().absolute() / "forge"
