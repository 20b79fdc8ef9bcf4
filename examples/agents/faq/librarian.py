"""Answers questions from the markdown files of a folder, and asks people for the answers that are not there yet.

trunkline agent librarian       # with FAQ_FOLDER, and TRUNKLINE_TOKEN of a role agent
trunkline tasks create --type documentation --payload '{"question": "How do I get an API key?"}'
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from trunkline import Agent, BlockingContext

NEW = "answers.md"
LEAST = 0.4
"""Of what a question asks a section must know so much; everyday words count for little, as they are everywhere."""
_WORD = re.compile(r"[^\W_]{2,}")
agent = Agent("faq_agent", at_once=4)


class Found(BaseModel):
    answer: str
    source: str
    """The file and its heading; empty: nothing fits."""
    score: float = 0.0


@dataclass(frozen=True)
class Section:
    source: str
    text: str
    words: Counter[str]


# Plain functions: reading files blocks, so each task has a thread of its own.
@agent.task("documentation")
def answer(question: str, ctx: BlockingContext) -> Found:
    known = sections(folder())
    ctx.progress(f"read {len(known)} sections", 0.5)
    return best(question, known)


@agent.task("faq_update")
def learn(question: str, ctx: BlockingContext) -> Found:
    found = best(question, sections(folder()))
    if found.source:
        return found
    ctx.say("Nothing is written about that yet.")
    said = ctx.ask(question)
    with (folder() / NEW).open("a") as file:
        file.write(f"\n## {' '.join(question.split())}\n\n{said.strip()}\n")
    return best(question, sections(folder()))


def folder() -> Path:
    return Path(os.environ.get("FAQ_FOLDER", "."))


def sections(place: Path) -> list[Section]:
    """Every part of every file, from one heading to the next."""
    found = []
    for file in sorted(place.rglob("*.md")):
        for part in re.split(r"^(?=#)", file.read_text(errors="replace"), flags=re.MULTILINE):
            heading, _, text = part.partition("\n")
            if text.strip():
                title = heading.lstrip("# ").strip()
                words = Counter(stems(f"{title} {title} {text}"))  # a heading says more of what it is about
                found.append(Section(f"{file.relative_to(place)}#{title}", text.strip(), words))
    return found


def best(question: str, known: list[Section]) -> Found:
    """By the words they share, rare ones above all (BM25)."""
    wanted, everywhere = set(stems(question)), Counter(word for section in known for word in section.words)
    average = sum(section.words.total() for section in known) / max(len(known), 1)
    rare = {word: math.log(1 + (len(known) - everywhere[word] + 0.5) / (everywhere[word] + 0.5)) for word in wanted}

    def score(section: Section) -> float:
        slack = 1.2 * (0.25 + 0.75 * section.words.total() / average)
        return sum(rare[word] * 2.2 * section.words[word] / (section.words[word] + slack) for word in wanted & section.words.keys())

    top = max(known, key=score, default=None)
    if top is None or sum(rare[word] for word in wanted & top.words.keys()) < LEAST * sum(rare.values()):
        return Found(answer="", source="")
    return Found(answer=top.text, source=top.source, score=round(score(top), 2))


def stems(text: str) -> list[str]:
    return [word.lower().removesuffix("s") for word in _WORD.findall(text)]


if __name__ == "__main__":
    agent.run()
