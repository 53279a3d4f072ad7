"""What a check is, and how a list of them is run."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from settings.errors import SettingsError

State = Literal["ok", "remark", "wrong", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What a check has found. None of it is ever a secret."""

    check: str
    state: State
    says: str
    # A command that mends it, or shows more; empty if there is none.
    mend: str = ""


@dataclass(frozen=True)
class Said:
    """A finding of the check that is running."""

    state: State
    says: str
    mend: str = ""


def ok(says: str) -> Said:
    """It is as it should be."""
    return Said("ok", says)


def remark(says: str, mend: str = "") -> Said:
    """It works, but a person should know."""
    return Said("remark", says, mend)


def wrong(says: str, mend: str = "") -> Said:
    """It does not work."""
    return Said("wrong", says, mend)


@dataclass(frozen=True)
class Check:
    """One thing to look at."""

    name: str
    run: Callable[[], Iterable[Said]]
    # Names of earlier checks without which this one could say nothing.
    needs: Sequence[str] = ()
    # The longest it may take. Everything it asks has a shorter limit of its own.
    seconds: float = 30


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run the checks in their order; what they find, as they find it."""
    broken: set[str] = set()
    for check in checks:
        lacking = [name for name in check.needs if name in broken]
        if lacking:
            broken.add(check.name)
            yield Finding(check.name, "skipped", f"depends on: {', '.join(lacking)}")
            continue
        for said in _limited(check):
            if said.state == "wrong":
                broken.add(check.name)
            yield Finding(check.name, said.state, said.says, said.mend)


def _limited(check: Check) -> Iterator[Said]:
    """What a check says within its time."""
    found: list[Said] = []

    def run() -> None:
        try:
            found.extend(check.run())
        except SettingsError as error:
            found.append(wrong(str(error)))
        except Exception as error:  # a check must not end the others; its text is not shown, it may quote anything
            place = error.__traceback__
            while place and place.tb_next:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "an unknown place"
            found.append(wrong(f"the check itself failed: {type(error).__name__} at {where}; please tell us"))

    # A daemon: one that never ends does not hold the doctor up in the end.
    thread = threading.Thread(target=run, daemon=True)
    start = time.monotonic()
    thread.start()
    thread.join(check.seconds)
    if thread.is_alive():
        yield from [*found, wrong(f"no result within {time.monotonic() - start:.0f} s")]
    else:
        yield from found
