"""Every knob of the router: where kinds of work go, and what is held until somebody allows it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from trunkline.bus import BusSettings
from trunkline.bus.limits import Rule
from trunkline.contracts.ids import Token
from trunkline.contracts.task import Executor, Priority

SANDBOX_POOL: Final = "dev"
"""The pool whose work the sandbox service takes."""


Places = Annotated[int, Field(ge=1, le=10_000)]


class RouteSetting(BaseModel):
    """Whose agents do a kind of work, and how they are reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: Token
    executor: Executor = Executor.BUS

    @model_validator(mode="after")
    def _carried(self) -> RouteSetting:
        if self.executor is Executor.SANDBOX and self.pool != SANDBOX_POOL:
            raise ValueError(f"the sandbox service takes work of the pool {SANDBOX_POOL!r} only; name that, or the executor bus")
        if self.executor is Executor.CALLBACK:
            raise ValueError("agents that call home by themselves take no work that is sent to them; name another executor")
        return self

    def __str__(self) -> str:
        return self.pool if self.executor is Executor.BUS else f"{self.pool} ({self.executor})"


class GateSetting(BaseModel):
    """Holds every task that meets all of its conditions; an empty condition is met by all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(min_length=1, max_length=500)
    types: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()
    payload: dict[str, JsonValue] = {}
    metadata: dict[str, JsonValue] = {}

    def __str__(self) -> str:
        return self.reason


ROUTES: Final = {
    **{kind: RouteSetting(pool="dev_agent") for kind in ("bugfix", "feature", "refactor")},
    **{kind: RouteSetting(pool="ops_agent") for kind in ("deployment", "monitoring", "incident")},
    **{kind: RouteSetting(pool="faq_agent") for kind in ("faq_update", "documentation", "knowledge_sync")},
}
GATES: Final = (
    GateSetting(reason="Priority P0 and P1 begin only when somebody allows it.", priorities=(Priority.P0, Priority.P1)),
    GateSetting(
        reason="What changes production begins only when somebody allows it.",
        types=("deployment", "feature", "refactor"),
        payload={"environment": "production"},
    ),
    GateSetting(reason="A change of a feature flag begins only when somebody allows it.", metadata={"feature_flag_change": True}),
)


class Settings(BusSettings):
    """What every service knows of the bus, and the rules of this installation."""

    routes: dict[str, RouteSetting] = Field(
        ROUTES, description="The types of the orchestrator's document. What is set here is added to them, or takes the place of one."
    )
    gates: tuple[GateSetting, ...] = Field(
        GATES, description="Urgent work, what reaches production, and feature flags are looked at by a person first; `[]` holds nothing."
    )
    agent_deadline_s: float = Field(
        604800.0, gt=0, description="A week: agents elsewhere work at a pace of their own, and people may sit behind them."
    )
    instance_repeat_s: float = Field(
        200.0, ge=0, le=3600, description="All six tries of the SDK, none of which is answered within its 30 s, take 181."
    )
    instance_stale_s: float = Field(180.0, ge=1, description="Six heartbeats of 30 s missed: the agent, or its way here, is in trouble.")
    instance_lost_s: float = Field(900.0, ge=1, description="A quarter of an hour: no restart of anything takes that long.")
    lease_s: float = Field(
        15.0, ge=0.5, le=600, description="Three beats of an agent on NATS missed: it, or its way here, is gone, and another gets its task."
    )
    agents_publish: str = Field(
        "120/minute", description="Of one agent on NATS: two events a second are news; more is a flood, to everybody."
    )
    agents_submit: str = Field(
        "60/minute", description="Of one agent on NATS: a task split into sixty parts is a lot; one that loops makes more."
    )
    rate_limits: Literal["on", "off"] = Field(
        "on", description="One caller must not take what all need; off for benches, or behind a proxy."
    )
    wip_tenants: dict[Token | Literal["*"], Places] = Field(
        {}, description="None: as many tasks at once as there are hands. `{ acme = 20, '*' = 5 }`: of acme 20, of each other tenant 5."
    )
    wip_repositories: dict[str, Places] = Field(
        {}, description="None. `{ '*' = 2 }`: two tasks of one tenant at once on one repository, so that fewer of their changes collide."
    )
    wip_agents: dict[str, Places] = Field(
        {}, description="None. By the agent that a task names, else by its pool: what a licence, or a quota of a model, allows a tenant."
    )
    schedules_per_tenant: int = Field(100, ge=0, le=10_000, description="More than people keep in view.")
    surfaces: dict[str, Literal[Executor.SANDBOX, Executor.GITHUB_WORKFLOW]] = Field(
        {},
        description="None: the routes say. Who carries out what comes in by a surface, whatever its type (`github = 'github_workflow'`); "
        "what has no repository, is about a pull request or goes on from a task stays with whoever has it now.",
    )

    @field_validator("agents_publish", "agents_submit")
    @classmethod
    def _countable(cls, text: str) -> str:
        Rule.of(text)
        return text

    @property
    def pace(self) -> dict[str, Rule]:
        """How often one agent on NATS may ask a verb."""
        if self.rate_limits == "off":
            return {}
        return {"publish": Rule.of(self.agents_publish), "submit": Rule.of(self.agents_submit)}

    @field_validator("routes", mode="before")
    @classmethod
    def _added(cls, given: object) -> object:
        return {**ROUTES, **given} if isinstance(given, dict) else given
