"""Submits a task on a repository: `trunkline run OWNER/REPO "fix the login bug"`."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.api import add_url, connected
from trunkline_cli.commands.watch import follow
from trunkline_cli.console import OK, program


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="OWNER/REPO")
    parser.add_argument("task", help="what is to be done, in words")
    parser.add_argument("--branch", default="main", help="the base of the pull request (default: %(default)s)")
    parser.add_argument("--watch", action="store_true", help="follow it to its end; the exit code is then its outcome")
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    async with connected(args.url) as api:
        job = await api.execute(args.repo, args.task, args.branch)
        said = f"{job}\nFollow it: {program()} watch {job}\nStop it:   {program()} cancel {job}"
        print(job if args.watch else said, flush=True)
        return await follow(api, job) if args.watch else OK
