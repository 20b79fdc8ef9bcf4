"""Which images this machine keeps."""

from __future__ import annotations

from pathlib import Path

from trunkline_sandbox.adapters.providers.local import images
from trunkline_sandbox.adapters.providers.local.places import Place


def test_the_one_that_was_just_built_stays_whatever_the_others_are_called(tmp_path: Path) -> None:
    for name in ("omni-2", "omni-3", "omni-1"):
        images.keep(tmp_path, Place(tmp_path / "sbx-1"), name, {})
    assert [name for name in ("omni-1", "omni-2", "omni-3") if images.has(tmp_path, name)] == ["omni-1", "omni-3"]
