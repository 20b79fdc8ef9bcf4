"""Submits a task on a repository: `trunkline run OWNER/REPO "fix the login bug"`."""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

from trunkline_cli.api import Api, Job
from trunkline_cli.console import OK, print_json, program
from trunkline_cli.door import add_gateway, opened, same_door
from trunkline_cli.forge_token import forge_token
from trunkline_cli.orchestrator import Object
from trunkline_cli.terms import add_terms, terms
from trunkline_cli.watching import watch

SPELT: Final = {"budget_usd": "budgetUsd", "tool_rules": "toolRules"}
"""Terms, as this surface spells them."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="OWNER/REPO")
    parser.add_argument("task", help="what is to be done, in words")
    parser.add_argument("--branch", default="main", help="the base of the pull request (default: %(default)s)")
    add_terms(parser)
    parser.add_argument("--watch", action="store_true", help="follow it to its end; the exit code is then its outcome")
    parser.add_argument("--json", action="store_true", help="print one JSON document; with --watch one a line, the first for the job")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_run(args))


def body(args: argparse.Namespace) -> Object:
    """What is sent. Raises Invalid."""
    token = forge_token()
    asked: Object = {"repo": args.repo, "task": args.task, "branch": args.branch, **({"githubToken": token} if token else {})}
    return asked | {SPELT[name]: value for name, value in terms(args).items()}


async def _run(args: argparse.Namespace) -> int:
    async with opened(args) as door:
        answer = await Api(door).execute(body(args))
        job = Job.model_validate(answer).jobId
        if args.json:
            print_json(answer, line=args.watch)
        else:
            there = same_door(args)
            said = f"{job}\nFollow it: {program()} watch {job}{there}\nStop it:   {program()} cancel {job}{there}"
            print(job if args.watch else said, flush=True)
        return await watch(door, job, args.json) if args.watch else OK
