"""Before the push: what may not leave without anybody's leave waits for it, with nothing running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trunkline.contracts.approval import ApprovalDecided, DecidedBy, Verdict
from trunkline.contracts.calls import digest_of
from trunkline.contracts.message import Fact
from trunkline.contracts.run import ApprovalWanted, Phase, PhaseBegan, PushJudged, RunFailed, RunParked
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.judge_push import Judgement
from trunkline_sandbox.handlers.wake import Wake, due_of
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model import Run, bracket, wait_of
from trunkline_sandbox.model.asking import Decision


class OutgoingDoor:
    """The step JUDGE."""

    def __init__(self, wires: Wires, wake: Wake, bare: Callable[[Job], Path]) -> None:
        self._wires = wires
        self._wake = wake
        self._bare = bare

    async def __call__(self, job: Job, run: Run) -> list[Fact]:
        faultpoint("judged.before_effect")
        wanted = next((each for each in run.questions.open if run.judged), None)
        facts = await self._again(job, run, wanted) if wanted else await self._first(job, run)
        faultpoint("judged.after_effect")
        return facts

    async def _first(self, job: Job, run: Run) -> list[Fact]:
        judgement = await self._wires.judge(job, run, self._bare(job))
        if not judgement.reasons:
            return [_judged(run, (), cleared=True), _pushing(run)]
        wanted = question(job, run, judgement)
        waits = bracket(run.attempt, run.questions.waits, (*run.questions.open, wanted), paused=False)
        return [_judged(run, judgement.reasons, cleared=False), wanted, *waits, await self._parked(job, run, wanted)]

    async def _again(self, job: Job, run: Run, wanted: ApprovalWanted) -> list[Fact]:
        assert run.judged
        decision = await self._wires.decision(job, wanted.approval_id)
        if decision is None:
            return [await self._parked(job, run, wanted)]
        if isinstance(decision, ApprovalDecided) and decision.verdict is Verdict.APPROVED and decision.digest == wanted.digest:
            goes_on = bracket(run.attempt, run.questions.waits, (), paused=False)
            return [_judged(run, run.judged.reasons, cleared=True, by=decision.by), *goes_on, _pushing(run)]
        return [RunFailed(attempt=run.attempt, code="PUSH_REFUSED", error=_refused(run, decision), recoverable=False)]

    async def _parked(self, job: Job, run: Run, wanted: ApprovalWanted) -> RunParked:
        await self._wake.arm(due_of(job))
        return RunParked(attempt=run.attempt, sitting=run.sitting, why=wait_of(wanted), session=run.session)


def question(job: Job, run: Run, judgement: Judgement) -> ApprovalWanted:
    assert run.committed and run.cloned
    commit, about = run.committed, job.assignment
    what = {"repo": about.repo, "branch": commit.branch, "commit": commit.commit, "base": run.cloned.commit}
    return ApprovalWanted(
        attempt=run.attempt,
        approval_id=f"push-{commit.commit[:32]}",
        kind=judgement.kind,
        subject=f"Push {commit.branch} to {about.repo}: {'; '.join(judgement.reasons)[:800]}",
        digest=digest_of({**what, "reasons": list(judgement.reasons)}),
        requested_by=job.submitted_by,
        about={**what, "reasons": list(judgement.reasons), "files_changed": commit.files_changed, "offers": []},
    )


def _judged(run: Run, reasons: tuple[str, ...], *, cleared: bool, by: str = "") -> PushJudged:
    assert run.committed
    commit = run.committed.commit
    digest = digest_of({"commit": commit, "reasons": list(reasons)})
    return PushJudged(attempt=run.attempt, commit=commit, digest=digest, cleared=cleared, reasons=reasons, by=by)


def _pushing(run: Run) -> PhaseBegan:
    assert run.committed
    return PhaseBegan(phase=Phase.PUSH, message=f"Pushing {run.committed.branch}...")


def _refused(run: Run, decision: Decision) -> str:
    assert run.judged
    asked = "; ".join(run.judged.reasons)
    if isinstance(decision, ApprovalDecided) and decision.decided_by is DecidedBy.TIMEOUT:
        return f"the push needed an approval ({asked}), and nobody decided in time"
    who = decision.by if isinstance(decision, ApprovalDecided) else "it"
    return f"the push was not allowed ({asked}): {decision.reason or f'{who} refused it'}"
