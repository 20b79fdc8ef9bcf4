"""Every knob of the approvals service: who must approve what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from trunkline.auth.policy import ALLOWED, Action
from trunkline.bus import BusSettings
from trunkline.contracts.approval import ApprovalPolicy, OnExpiry, Stage, Verdict
from trunkline.contracts.task import Priority

YEAR: Final = 366 * 86400.0
NEVER: Final = "never"
MAY_DECIDE: Final = tuple(str(role) for role, actions in ALLOWED.items() if Action.DECIDE_APPROVAL in actions)
_STRICT: Final = ConfigDict(frozen=True, extra="forbid")
_VERDICTS: Final = {None: None, "approve": Verdict.APPROVED, "reject": Verdict.REJECTED}


class StageSetting(Stage):
    """A stage as somebody wrote it: a word that we do not know is a mistake."""

    model_config = _STRICT

    expires_s: float | None = Field(default=86400.0, gt=0, le=YEAR)

    @field_validator("expires_s", mode="before")
    @classmethod
    def _for_ever(cls, said: object) -> object:
        return None if said == NEVER else said  # TOML has no word for nothing

    @field_validator("roles")
    @classmethod
    def _known(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        for role in roles:
            if role not in MAY_DECIDE:
                raise ValueError(f"the role {role!r} may not decide approvals; name some of {', '.join(MAY_DECIDE)}")
        return roles


class MatchSetting(BaseModel):
    """What a policy is for; what is left out fits everything."""

    model_config = _STRICT

    kinds: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()
    types: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    about: dict[str, JsonValue] = {}


class PolicySetting(ApprovalPolicy):
    """A policy as somebody wrote it, with what it is for, or a verdict at once."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=64)
    match: MatchSetting = MatchSetting()
    first: StageSetting = StageSetting()
    escalation: tuple[StageSetting, ...] = ()
    decide: Literal["approve", "reject"] | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def verdict(self) -> Verdict | None:
        """What the policy says at once, without asking anybody."""
        return _VERDICTS[self.decide]

    @model_validator(mode="after")
    def _can_be_fulfilled(self) -> PolicySetting:
        if (self.on_expiry is OnExpiry.ESCALATE) != bool(self.escalation):
            raise ValueError(f"the policy {self.name!r} needs both on_expiry = 'escalate' and stages in `escalation`, or neither")
        stages = (self.first, *self.escalation)
        for number, stage in enumerate(stages):
            _check_people(f"the policy {self.name!r}, stage {number}", stages[: number + 1], stage.quorum)
        return self


def _check_people(where: str, asked: Sequence[Stage], quorum: int) -> None:
    """Whoever was asked earlier may still decide, and counts. Raises ValueError."""
    names = {name for stage in asked for name in stage.names}
    if not any(stage.roles for stage in asked) and len(names) < quorum:
        raise ValueError(f"{where}, can never be fulfilled: it needs {quorum} people, names {len(names)}, and lets no role decide")


class Settings(BusSettings):
    """The approvals service needs the bus, and to be told its rules."""

    approval_policies: tuple[PolicySetting, ...] = Field(
        (),
        max_length=100,
        description="None: for anything, one admin, agent or approver other than whoever asked is enough, within a day; later it counts as "
        "rejected.",
    )

    @field_validator("approval_policies")
    @classmethod
    def _names_differ(cls, policies: tuple[PolicySetting, ...]) -> tuple[PolicySetting, ...]:
        names = [policy.name for policy in policies]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two policies are called {name!r}; who decided could not be told")
        return policies
