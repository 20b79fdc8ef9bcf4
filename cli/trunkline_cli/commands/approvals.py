"""Lists what waits for somebody's word, the oldest first, or what was decided, the newest first; shows one in full."""

from __future__ import annotations

import argparse
import asyncio

from trunkline.contracts.instance import INPUT
from trunkline.runtime.clock import now
from trunkline_cli import tables
from trunkline_cli.console import OK, err, out, print_json, program
from trunkline_cli.door import add_gateway, opened, same_door
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.paging import add_page, most, say_rest
from trunkline_cli.plain import plain
from trunkline_cli.shapes import HistoryPage, PendingPage


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("approval", nargs="?", default="", metavar="ID", help="show this one in full: exactly what would be done")
    parser.add_argument("--history", action="store_true", help="what was decided, instead of what is open")
    add_page(parser, 100)
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(_ask(args))
    if args.json:
        print_json(answer)
        return OK
    if args.approval:
        _show_one(answer, same_door(args))
    elif args.history:
        _show_history(HistoryPage.model_validate(answer))
    else:
        _show_pending(PendingPage.model_validate(answer))
    return OK


async def _ask(args: argparse.Namespace) -> Object:
    async with opened(args) as door:
        orchestrator = Orchestrator(door)
        if args.approval:
            return await orchestrator.approval(args.approval)
        return await (orchestrator.history(most(args)) if args.history else orchestrator.pending(most(args)))


def _show_pending(page: PendingPage) -> None:
    if not page.approvals:
        err().print(f"Nothing waits for anybody's word. `{program()} approvals --history` shows what was decided.", markup=False)
        return
    at = now()
    tables.show(tables.APPROVALS, (tables.approval_row(each, at) for each in page.approvals), out())
    say_rest(len(page.approvals), page)


def _show_history(page: HistoryPage) -> None:
    if not page.history:
        err().print("Nothing was decided yet.")
        return
    at = now()
    tables.show(tables.HISTORY, (tables.history_row(each, at) for each in page.history), out())
    say_rest(len(page.history), page)


def _show_one(answer: Object, there: str) -> None:
    """All that is known of it, then exactly what would be done, then how to decide about just that, by flags that lead `there`."""
    approval = answer.get("approval")
    shown: Object = dict(approval) if isinstance(approval, dict) else {}
    about = shown.pop("about", None)
    tables.show_one(shown, out())
    tables.show_exactly(about if isinstance(about, dict) else {}, out())
    if shown.get("status") == "pending":
        asks = shown.get("kind") == INPUT
        words = f"{program()} approve {shown.get('approval_id')} --digest {shown.get('digest')}{' --answer TEXT' if asks else ''}{there}"
        err().print(f"To {'answer' if asks else 'allow exactly this'}: {plain(words)}", markup=False)
