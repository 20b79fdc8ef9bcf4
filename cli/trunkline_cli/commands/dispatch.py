"""Starts an agent in a repository's own GitHub workflow: `trunkline dispatch OWNER/REPO --prompt "fix the login bug"`."""

from __future__ import annotations

import argparse
import asyncio

from trunkline.contracts.errors import Invalid
from trunkline_cli.console import OK, print_json, program
from trunkline_cli.door import add_gateway, opened, same_door
from trunkline_cli.instances import Dispatched, Instances
from trunkline_cli.messaging import text_of
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import one_line
from trunkline_cli.watching import watch


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "The repository needs the workflow of integrations/github, and this installation an account at GitHub."
    parser.add_argument("repo", metavar="OWNER/REPO")
    parser.add_argument("--prompt", required=True, metavar="TEXT|-", help="what is to be done, in words; - takes it from standard input")
    parser.add_argument("--branch", default="", help="where the agent begins (default: main)")
    parser.add_argument("--type", default="", help="which kind of agent, in the workflow's word (default: general)")
    parser.add_argument("--id", default="", help="what it goes by; the same again is the same dispatch (default: one is made)")
    parser.add_argument("--installation", type=int, metavar="N", help="of the GitHub App (default: found by the repository)")
    parser.add_argument("--watch", action="store_true", help="follow it to its end; the exit code is then its outcome")
    parser.add_argument("--json", action="store_true", help="print one JSON document; with --watch one a line, the first for the dispatch")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    """The id alone on the first line. Raises Invalid, Unavailable."""
    return asyncio.run(_run(args, body(args)))


def body(args: argparse.Namespace) -> Object:
    """What is sent. Raises Invalid."""
    owner, _, repo = args.repo.partition("/")
    prompt = text_of(args.prompt)
    if not owner or not repo or not prompt.strip():
        raise Invalid("A dispatch needs a repository as OWNER/REPO, and a prompt that says something.")
    said = {"agent_instance_id": args.id, "branch_name": args.branch, "agent_type": args.type, "installation_id": args.installation}
    return {"owner": owner, "repo": repo, "prompt": prompt} | {name: value for name, value in said.items() if value}


async def _run(args: argparse.Namespace, asked: Object) -> int:
    async with opened(args) as door:
        answer = await Instances(door).dispatch(asked)
        made = Dispatched.model_validate(answer)
        if args.json:
            print_json(answer, line=args.watch)
        else:
            print(made.agent_instance_id if args.watch else _told(made, same_door(args)), flush=True)
        return await watch(door, made.task_id, args.json) if args.watch else OK


def _told(made: Dispatched, there: str) -> str:
    name, id = program(), one_line(made.agent_instance_id)
    allow = [f"Allow it:  {name} approve {one_line(made.approval_id)}{there}"] if made.approval_id else []
    return "\n".join(
        [
            id,
            *allow,
            f"Follow it: {name} watch {one_line(made.task_id)}{there}",
            f"Read it:   {name} messages {id}{there}",
            f'Answer it: {name} reply {id} "..."{there}',
        ]
    )
