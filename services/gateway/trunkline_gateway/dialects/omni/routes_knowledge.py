"""Knowledge jobs: an agent run in a user's sandbox, with the input on its standard input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import Assignment
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, Route, Spec
from trunkline_gateway.dialects.omni import decode, encode, names
from trunkline_gateway.dialects.omni.schemas_knowledge import JobAccepted, ProcessBody
from trunkline_gateway.usecases.knowledge import Knowledge, KnowledgeWish

TYPE: Final = "knowledge"
USER: Final = "USER_ID"
PROCESS: Final = Spec(
    "Let the agent work in a sandbox",
    names.SURFACE,
    "Answers when the job is stored. A sandbox that is stopped is started before, within 60 s; one that is made, or in error, is 409.",
    body=ProcessBody,
    answers={202: JobAccepted},
    refusals=(400, 401, 403, 404, 409, 413, 415, 429, 500, 503),
)


@dataclass(frozen=True, slots=True)
class KnowledgeRoutes:
    """`allowed`: patterns of the variables that callers may give."""

    knowledge: Knowledge
    body: BodyReader
    allowed: tuple[str, ...]

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/api/knowledge/process", Action.USE_SANDBOX, self._process, PROCESS, "knowledge.submit"),)

    async def _process(self, request: web.Request, principal: Principal) -> web.Response:
        body = decode.process(await self.body.json(request), self.allowed)
        task, at = request[IDS].task_id(), self.knowledge.tasks.now()
        submitted = await self.knowledge.submit(principal, wished(body, task, at), id=task)
        return encode.answer(JobAccepted(jobId=names.job_id(task, submitted.submitted_at)), status=202)


def wished(body: ProcessBody, task: TaskId, at: datetime) -> KnowledgeWish:
    job = names.job_id(task, at)
    assignment = Assignment(
        prompt=body.input,
        type=TYPE,
        surface=names.SURFACE,
        model=body.model,
        sandbox=body.sandboxId,
        env={**body.env, USER: body.userId},
        labels={names.TASK_LABEL: body.taskId, names.JOB_LABEL: job, names.SANDBOX_LABEL: body.sandboxId},
    )
    return KnowledgeWish(body.userId, assignment, (names.job_alias(job), names.task_alias(body.taskId)), at)
