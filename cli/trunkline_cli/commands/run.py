"""Submits a task on a repository: `trunkline run OWNER/REPO "fix the login bug"`."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.api import Api, Job
from trunkline_cli.console import OK, print_json, program
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.watching import watch


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="OWNER/REPO")
    parser.add_argument("task", help="what is to be done, in words")
    parser.add_argument("--branch", default="main", help="the base of the pull request (default: %(default)s)")
    parser.add_argument("--watch", action="store_true", help="follow it to its end; the exit code is then its outcome")
    parser.add_argument("--json", action="store_true", help="print one JSON document; with --watch one a line, the first for the job")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    async with opened(args) as door:
        answer = await Api(door).execute(args.repo, args.task, args.branch)
        job = Job.model_validate(answer).jobId
        if args.json:
            print_json(answer, line=args.watch)
        else:
            said = f"{job}\nFollow it: {program()} watch {job}\nStop it:   {program()} cancel {job}"
            print(job if args.watch else said, flush=True)
        return await watch(door, job, args.json) if args.watch else OK
