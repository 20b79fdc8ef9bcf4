"""What the architecture tests look at: the product's own files, parsed once."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "router", "approvals", "sandbox", "relay")
PACKAGES = ("libs/trunkline", *(f"services/{name}/trunkline_{name}" for name in SERVICES), "cli/trunkline_cli")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file of the product."""

    path: str
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of the tree: to walk it is most of what a look costs, and there are many looks."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        return tuple(node for node in self.nodes if isinstance(node, Function))

    @cached_property
    def classes(self) -> tuple[ast.ClassDef, ...]:
        return tuple(node for node in self.nodes if isinstance(node, ast.ClassDef))


@cache
def product() -> tuple[Source, ...]:
    """Every Python file of ours that is shipped, empty ones and the demonstration's sample project left out."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if "demo_files" not in file.parts)
    return tuple(read(file) for file in files if file.read_text().strip())


def read(file: Path) -> Source:
    text = file.read_text()
    return Source(str(file.relative_to(ROOT)), text, ast.parse(text, str(file)))


def package(service: str) -> Path:
    return ROOT / "services" / service / f"trunkline_{service}"
