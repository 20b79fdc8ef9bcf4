"""Named sandboxes as a small world keeps them: each command is answered at once, and what is made is ready at the second look."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from trunkline.contracts.errors import Conflict, Exhausted, NotFound
from trunkline.contracts.image import GetImage, ImageStatus, ImageView, InvalidateImages
from trunkline.contracts.sandbox import (
    DeleteSandbox,
    EnsureSandbox,
    GetSandbox,
    ListSandboxes,
    SandboxPage,
    SandboxStatus,
    SandboxUsage,
    SandboxUsageView,
    SandboxView,
    StartSandbox,
    StopSandbox,
    TouchSandbox,
)

About = GetSandbox | StartSandbox | StopSandbox | DeleteSandbox | TouchSandbox
BoxWish = EnsureSandbox | About | ListSandboxes | SandboxUsage | InvalidateImages | GetImage
IMAGE = ImageView(
    tenant="public",
    image_id="image-1",
    provider="local",
    status=ImageStatus.READY,
    name="omni-snapshot-2026-11-22T04-00-00-000Z",
    changed_at=datetime(2026, 11, 22, 4, tzinfo=UTC),
)


@dataclass
class Boxes:
    views: dict[str, SandboxView] = field(default_factory=dict)
    wished: list[BoxWish] = field(default_factory=list)
    cap: int = 4
    starts: SandboxStatus = SandboxStatus.READY
    """What comes of a start."""
    image: ImageView = IMAGE

    def told(self, command: BoxWish) -> SandboxView | SandboxPage | SandboxUsageView | ImageView:
        self.wished.append(command)
        match command:
            case EnsureSandbox():
                return self._ensured(command)
            case ListSandboxes():
                return self._listed(command)
            case InvalidateImages() | GetImage():
                return self.image
            case SandboxUsage():
                return SandboxUsageView(day=command.day, seconds=90, cost_usd=0.25, running=1)
            case _:
                return self._about(command)

    def _ensured(self, command: EnsureSandbox) -> SandboxView:
        preferred = [view for view in self.views.values() if (view.user, view.owner) == (command.user, command.by)]
        if preferred and command.reuse:
            return preferred[0]
        if len(preferred) >= self.cap:
            raise Exhausted("too many", code="SANDBOX_CAP", retry_after=60)
        made = SandboxView(
            sandbox_id=command.sandbox_id,
            user=command.user,
            owner=command.by,
            status=SandboxStatus.CREATING,
            created_at=command.at,
            provider=command.provider or "local",
            terms=command.terms,
        )
        self.views[made.sandbox_id] = made
        return made

    def _listed(self, command: ListSandboxes) -> SandboxPage:
        asked = [
            view
            for view in reversed(self.views.values())
            if command.user in (None, view.user) and command.owner in (None, view.owner) and command.status in (None, view.status)
        ]
        return SandboxPage(sandboxes=tuple(asked[: command.limit]), total=len(asked))

    def _about(self, command: About) -> SandboxView:
        view = self.views.get(command.sandbox_id)
        if view is None or command.owner not in (None, view.owner):
            raise NotFound("there is no sandbox by that id; create one", code="SANDBOX_NOT_FOUND")
        match command:
            case StartSandbox():
                return self.now(view, SandboxStatus.CREATING)
            case StopSandbox() if view.status is SandboxStatus.CREATING:
                raise Conflict("a sandbox that is creating cannot be stopped", code="SANDBOX_NOT_READY")
            case StopSandbox():
                return self.now(view, SandboxStatus.STOPPED)
            case DeleteSandbox():
                del self.views[view.sandbox_id]
                return view.model_copy(update={"status": SandboxStatus.DELETED})
            case GetSandbox() if view.status is SandboxStatus.CREATING:
                self.now(view, self.starts, ready_at=view.created_at)
        return view

    def now(self, view: SandboxView, status: SandboxStatus, **more: Any) -> SandboxView:
        self.views[view.sandbox_id] = view.model_copy(update={"status": status, **more})
        return self.views[view.sandbox_id]
