"""Every knob of the sandbox service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from trunkline.bus import BusSettings, vault_key
from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import Token

_STRICT = ConfigDict(frozen=True, extra="forbid")
OUTGOING_PATHS = (
    ".github/workflows/**",
    ".github/actions/**",
    ".gitlab-ci.yml",
    ".circleci/**",
    "Jenkinsfile",
    "CODEOWNERS",
    ".github/CODEOWNERS",
    "docs/CODEOWNERS",
    ".github/instructions/**",
    ".github/copilot-instructions.md",
    "**/CLAUDE.md",
    "**/CLAUDE.local.md",
    "**/AGENTS.md",
    "**/GEMINI.md",
    "**/.claude/**",
    "**/.codex/**",
    "**/.cursor/**",
    "**/.gemini/**",
    "**/.opencode/**",
    "**/.cursorrules",
    "**/.windsurfrules",
    "**/.clinerules/**",
    "**/.aider.conf.yml",
    "**/.mcp.json",
    "**/opencode.json",
    "**/opencode.jsonc",
    "**/.gitattributes",
    ".gitmodules",
)


class ToolRuleSetting(ToolRule):
    """A rule as somebody wrote it: a misspelt word must not widen it."""

    model_config = _STRICT


class PriceSetting(BaseModel):
    """US dollars for a million tokens."""

    model_config = _STRICT

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    """Input read from the provider's cache; None: as other input."""


class Settings(BusSettings):
    """Where agents run, which, with what limits, and where their work goes."""

    data_dir: Path = Field(Path("~/.local/share/trunkline"), description="Below the user's own folder: needs nobody else's rights.")
    public_url: str = Field("http://127.0.0.1:8787", description="The gateway's default address; pull request links begin with it.")
    share_timelines: bool = Field(
        True,
        description="A pull request links to the page of its timeline, which opens for whoever holds that link. Off: to the API, which "
        "wants a credential.",
    )
    forge: Literal["local", "github"] = Field("local", description="Bare repositories in a folder: works with no account anywhere.")
    forge_root: Path | None = Field(None, description="Unset: the folder `forge` in the data directory.")
    github_api_url: str = Field(
        "https://api.github.com",
        description="GitHub's own; GitHub Enterprise has its own. `TRUNKLINE_GITHUB_API_URL` counts before the variable.",
        json_schema_extra={"env": "GITHUB_API_URL", "env_first": "TRUNKLINE_GITHUB_API_URL"},
    )
    github_token: SecretStr = Field(
        SecretStr(""), description="A token in place of an App; it stays in this service.", json_schema_extra={"env": "GITHUB_TOKEN"}
    )
    github_app_id: str = Field("", description="Empty: no GitHub App; then `github_token` is needed.")
    github_app_key_file: Path | None = Field(None, description="The App's private key (PEM); unset: no App.")
    github_comment: bool = Field(False, description="On: the pull request gets a comment with what it cost. Most find that noisy.")
    github_status: bool = Field(False, description="On: the commit gets a status that links to the timeline.")
    forge_patience_s: float = Field(
        21600, ge=0, description="A forge that is away for longer ends the task; most outages are over by then, and the work stays kept."
    )
    vault_key: SecretStr = Field(
        SecretStr(""),
        description="Opens the tokens that callers give with their tasks, at least 32 characters; the same as the gateway's. Empty: "
        "`vault_key_file`, else a task with such a token fails.",
    )
    vault_key_file: Path | None = Field(None, description="For a key that is mounted as a file; `up` makes one in the data directory.")
    agent: Literal["command", "claude", "codex", "opencode"] = Field("claude", description="The coding agent that most people have.")
    agent_command: str = Field("", description="Empty: there is no sensible default for a program of yours.")
    agent_command_duplex: bool = Field(False, description="On: the program is spoken to by JSON lines, and may ask before it acts.")
    codex_path: Path | None = Field(None, description="Unset: `codex` in PATH.")
    opencode_path: Path | None = Field(None, description="Unset: `opencode` in PATH.")
    agent_repo_config: bool = Field(False, description="What a repository says to the agent's own settings and hooks is code of strangers.")
    claude_path: Path | None = Field(None, description="Unset: `claude` in PATH, else the one in the package claude-agent-sdk.")
    anthropic_api_key: SecretStr = Field(
        SecretStr(""), description="Stays in this service; agents never see it.", json_schema_extra={"env": "ANTHROPIC_API_KEY"}
    )
    anthropic_base_url: str = Field(
        "https://api.anthropic.com", description="The model's own address.", json_schema_extra={"env": "ANTHROPIC_BASE_URL"}
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""), description="Stays in this service; agents never see it.", json_schema_extra={"env": "OPENAI_API_KEY"}
    )
    openai_base_url: str = Field(
        "https://api.openai.com", description="The model's own address, without /v1.", json_schema_extra={"env": "OPENAI_BASE_URL"}
    )
    model_prices: dict[str, PriceSetting] = Field(
        {}, description="By model name, on top of the known ones; `*` at the end fits what follows."
    )
    model_tools_allowed: tuple[str, ...] = Field(
        (), description="Tools that run at the model's provider, by type, `*` for any text: they reach any host from there."
    )
    model_door_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*[^\s?#/])?)?$",
        description="Where agents in a cloud's sandboxes reach this service for their models; empty: such agents are refused there.",
    )
    model_door_host: str = Field("127.0.0.1", description="It listens there, for a proxy before it that speaks TLS.")
    model_door_port: int = Field(8790, ge=1, le=65535, description="Nothing well known is there. Only with `model_door_url`.")
    budget_usd: float = Field(0, ge=0, description="What the models of one task may cost before somebody is asked; 0: any amount.")
    budget_day_usd: float = Field(0, ge=0, description="The same for all tasks of a tenant in one day (UTC); 0: any amount.")
    tool_rules: tuple[ToolRuleSetting, ...] = Field(
        (), max_length=200, description="None: every call is allowed, for the sandbox is the wall."
    )
    tool_otherwise: Ruling = Field(Ruling.ALLOW, description="What becomes of calls that no rule fits.")
    hold_process_s: float = Field(
        120, ge=0.1, description="An agent that waits longer for people gives its place to others and is resumed later."
    )
    park_days: float = Field(30, gt=0, description="A run that waits for longer for people ends, and what it held is free again.")
    standing_runs: int = Field(
        8, ge=0, le=256, description="Agents that cannot be resumed stand still with their memory while they wait; more keep their places."
    )
    outgoing_files: int = Field(200, ge=1, description="Changes to more files than people read are looked at by somebody first.")
    outgoing_paths: tuple[str, ...] = Field(
        OUTGOING_PATHS, description="What runs with other rights than the agent's: a change to it is approved before it is pushed."
    )
    pull_requests_an_hour: int = Field(10, ge=1, description="To one repository; more of them are approved first.")
    sandbox: Literal["local", "daytona", "e2b"] = Field("local", description="This machine: nothing to sign up for.")
    daytona_api_key: SecretStr = Field(
        SecretStr(""), description="Empty: there are no sandboxes at Daytona.", json_schema_extra={"env": "DAYTONA_API_KEY"}
    )
    daytona_api_url: str = Field(
        "https://app.daytona.io/api", description="Daytona's own address.", json_schema_extra={"env": "DAYTONA_API_URL"}
    )
    daytona_target: str = Field("", description="Empty: the region of the account.", json_schema_extra={"env": "DAYTONA_TARGET"})
    daytona_snapshot: str = Field("", description="What sandboxes are made from, with the agent in it; empty: Daytona's own default.")
    daytona_fleet: str = Field(
        "trunkline",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="Two installations with one account need two: each removes what is its own and nobody's task.",
    )
    e2b_api_key: SecretStr = Field(
        SecretStr(""), description="Empty: there are no sandboxes at E2B.", json_schema_extra={"env": "E2B_API_KEY"}
    )
    e2b_domain: str = Field("e2b.app", description="E2B's own; a cluster of your own has its own.", json_schema_extra={"env": "E2B_DOMAIN"})
    e2b_api_url: str = Field("", description="Empty: `https://api.` and the domain.", json_schema_extra={"env": "E2B_API_URL"})
    e2b_sandbox_url: str = Field(
        "", description="Empty: what the domain says; else one address before all sandboxes.", json_schema_extra={"env": "E2B_SANDBOX_URL"}
    )
    e2b_template: str = Field("", description="What sandboxes are made from, with the agent in it; empty: E2B's own `base`.")
    e2b_life_s: float = Field(
        3600, ge=60, le=86400, description="An hour is what E2B gives every account at one stretch; a paid one may have a day."
    )
    e2b_fleet: str = Field(
        "trunkline",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="As `daytona_fleet`: two installations with one account need two.",
    )
    unsafe_local: bool = Field(False, description="Without isolation an agent can do whatever you can; only you can want that.")
    egress: tuple[str, ...] = Field((), description="Agents reach no host unless it is named here (`name` or `name:port`).")
    shares: dict[Token, Annotated[float, Field(gt=0, le=1000)]] = Field(
        {},
        description="All tenants that wait in a lane take turns, one each, however much each brings; `{ acme = 3 }` gives acme three for "
        "one of the others.",
    )
    runs: int = Field(
        4,
        ge=1,
        le=256,
        description="Two agents per core of a small machine; each waits for its model most of the time. Jobs in named "
        "sandboxes come on top, as many at once.",
    )
    cpus: float = Field(
        0, ge=0, description="0: all, shared evenly; half where no control group can share. A fixed number leaves some idle."
    )
    memory_mb: int = Field(2048, ge=64, description="Coding agents need some 300 MB; compilers and test suites the rest.")
    processes: int = Field(512, ge=8, description="Enough for parallel builds, too little for a fork bomb.")
    disk_mb: int = Field(4096, ge=16, description="A large repository with its dependencies.")
    file_mb: int = Field(1024, ge=1, description="No source file is larger; a runaway log is.")
    output_mb: int = Field(16, ge=1, description="Hours of an agent's talk; what is beyond it is counted and dropped.")
    snapshot_days: float = Field(7, ge=0, description="How long one may go on from a task that is over; 0: nothing is kept of it.")
    snapshot_mb: int = Field(10240, ge=0, description="Of all tasks together; the oldest goes first.")
    repository_mb: int = Field(2048, ge=1, description="Larger than nearly every repository, smaller than a disk.")

    sandbox_provider: Literal["", "local", "daytona", "e2b"] = Field(
        "",
        description="Where a named sandbox is made whose caller names no provider; empty: at `sandbox`, and where the sandbox services "
        "that are there have several, at the first of local, daytona and e2b.",
    )
    sandboxes_per_user: int = Field(4, ge=0, description="Named sandboxes of one user; one is what most need. 0: any number.")
    sandboxes_per_tenant: int = Field(100, ge=0, description="Of one tenant; 0: any number.")
    sandbox_minutes_day: float = Field(
        0, ge=0, description="What a tenant's named sandboxes may run for in one day (UTC), in all; then they are stopped. 0: any time."
    )
    sandbox_days: float = Field(30, gt=0, le=60, description="What a named sandbox lives at most; half of `events_days` if that is less.")
    sandbox_idle_s: float = Field(1800, ge=0, description="A named sandbox that nobody uses for so long is stopped; 0: never.")
    sandbox_site_lost_s: float = Field(
        900,
        ge=180,
        description="A machine that keeps named sandboxes and is silent for so long is given up, longer than one takes to start anew; "
        "what it keeps is in error until it speaks again.",
    )
    sandbox_egress: tuple[str, ...] = Field((), description="Hosts that a named sandbox may ask for, besides those of `egress`.")
    sandbox_dockerfile: Path | None = Field(
        None, description="What named sandboxes begin with is built from it and kept until it changes; unset: they begin empty."
    )
    snapshot_build_s: float = Field(1800, ge=1, description="What such a build may take; installing tools over a slow line takes minutes.")
    snapshot_retry_s: float = Field(
        60,
        ge=1,
        description="A build that failed is tried again so much later, by the next sandbox; twice as long after each further failure.",
    )
    sandbox_prices: dict[str, float] = Field({}, description="US dollars for an hour of one, by provider; your own machine is free.")

    @field_validator("vault_key")
    @classmethod
    def _long(cls, key: SecretStr) -> SecretStr:
        try:
            vault_key(key.get_secret_value())
        except Invalid as error:
            raise ValueError(error.message) from None
        return key

    @property
    def sealing_key(self) -> bytes:
        """32 bytes, or none. Raises Invalid."""
        return vault_key(self.vault_key.get_secret_value(), self.vault_key_file)

    @property
    def folder(self) -> Path:
        """Where runs and their sandboxes live while they are needed."""
        return self.data_dir.expanduser().absolute() / "sandbox"

    @property
    def boxes(self) -> Path:
        """The local provider's sandboxes."""
        return self.folder / "boxes"

    @property
    def kept(self) -> Path:
        """What tasks may go on from; on the file system of the runs."""
        return self.folder / "kept"

    @property
    def repositories(self) -> Path:
        return self.forge_root or self.data_dir.expanduser().absolute() / "forge"
