"""What the README promises is there: files, targets, settings."""

from __future__ import annotations

import re

from tests.architecture.source import ROOT
from trunkline.runtime.settings import env_name
from trunkline_cli.__main__ import COMMANDS
from trunkline_cli.sources import every_field

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_link_leads_somewhere() -> None:
    links = ((page, link) for page in DOCUMENTS for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()))
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_every_target_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert sorted(target for target in named if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)) == []


def test_every_variable_of_the_table_is_a_setting() -> None:
    known = {env_name(name, field) for name, field in every_field()}
    named = {name for row in re.findall(r"^\| (`[A-Z_`, ]+`) \|", README, re.MULTILINE) for name in re.findall(r"`([A-Z_]+)`", row)}
    assert named
    assert sorted(named - known) == []


def test_the_commands_that_make_runs_exist() -> None:
    assert set(re.findall(r"bin/trunkline (\w+)", MAKEFILE.replace("$(BIN)", "bin"))) <= set(COMMANDS)
