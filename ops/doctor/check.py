"""Checks, their results, and how a list of checks is run."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from settings.errors import SettingsError

State = Literal["ok", "remark", "wrong", "skipped"]


@dataclass(frozen=True)
class Finding:
    """A result with the name of its check. It never contains a secret."""

    check: str
    state: State
    says: str
    """Description of the result."""
    remedy: str = ""
    """Command that fixes the problem or shows more about it; empty if there is none."""


@dataclass(frozen=True)
class Result:
    """A result of the running check. A check may have several."""

    state: State
    says: str
    """Description of the result."""
    remedy: str = ""
    """Command that fixes the problem or shows more about it; empty if there is none."""


def ok(says: str) -> Result:
    """Return the result that everything is as expected."""
    return Result("ok", says)


def remark(says: str, remedy: str = "") -> Result:
    """Return a result that works, but needs attention."""
    return Result("remark", says, remedy)


def wrong(says: str, remedy: str = "") -> Result:
    """Return a result that does not work."""
    return Result("wrong", says, remedy)


def skipped(says: str, remedy: str = "") -> Result:
    """Return the result that the check could not be made, which proves nothing."""
    return Result("skipped", says, remedy)


@dataclass(frozen=True)
class Check:
    """One check of the doctor."""

    name: str
    run: Callable[[], Iterable[Result]]
    needs: Sequence[str] = ()
    """Names of earlier checks; if one of them is wrong or skipped, this check is skipped."""
    seconds: float = 30
    """Time limit in seconds. Each request inside the check has its own, shorter limit."""


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run the checks in their order, and yield the findings of each when it has ended."""
    broken: set[str] = set()
    for check in checks:
        lacking = [name for name in check.needs if name in broken]
        if lacking:
            broken.add(check.name)
            yield Finding(check.name, "skipped", f"depends on: {', '.join(lacking)}")
            continue
        for result in _limited(check):
            if result.state in {"wrong", "skipped"}:
                broken.add(check.name)
            yield Finding(check.name, result.state, result.says, result.remedy)


def _limited(check: Check) -> Iterator[Result]:
    """Run a check, and yield its results within its time limit."""
    found: list[Result] = []

    def run() -> None:
        try:
            found.extend(check.run())
        except SettingsError as error:
            found.append(wrong(str(error)))
        except Exception as error:  # must not end the other checks; its text is not shown, because it may quote secrets
            place = error.__traceback__
            while place and place.tb_next:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "an unknown place"
            found.append(wrong(f"the check itself failed: {type(error).__name__} at {where}; please report this"))

    # A daemon thread: a check that never ends does not keep the doctor from ending.
    thread = threading.Thread(target=run, daemon=True)
    start = time.monotonic()
    thread.start()
    thread.join(check.seconds)
    if thread.is_alive():
        yield from [*found, wrong(f"no result within {time.monotonic() - start:.0f} s")]
    else:
        yield from found
