"""Many cases as one test, for those that cost less than pytest's own work around a test: all are tried, and each that fails is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Test = Callable[..., None]


def each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Test], Callable[[], None]]:
    """As `pytest.mark.parametrize`, for a test that takes nothing else."""
    every = list(cases)

    def of(test: Test) -> Callable[[], None]:
        def all_of_them() -> None:
            failed: list[Exception] = []
            for case in every:
                try:
                    test(**({names: case} if isinstance(names, str) else dict(zip(names, case, strict=True))))
                except Exception as error:
                    error.add_note(f"{names}: {case!r}"[:400])
                    failed.append(error)
            assert every, "no case at all"
            if failed:
                raise ExceptionGroup(f"{len(failed)} of {len(every)} cases", failed[:20])

        all_of_them.__name__, all_of_them.__doc__, all_of_them.__module__ = test.__name__, test.__doc__, test.__module__
        return all_of_them

    return of
