"""How full the volumes were when the doctor last looked, and when they will be full if that goes on."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.lib.port_holder import FOLDER
from ops.lib.private_file import write_private

DAY = 86400.0
# Measurements that are kept, and the least time between two of them: about 20 days.
_MOST, _LEAST_SECONDS = 500, 3600.0
# Growth in per cent per day below which a volume counts as steady.
_STEADY = 0.05
# Days beyond which a forecast says nothing.
_HORIZON = 365

Measurement = tuple[float, float]
"""Seconds since 1970, and the usage in per cent."""


def remember(stack: str, levels: Mapping[str, float], now: float | None = None, folder: Path | None = None) -> None:
    """Keep the measurements of today beside the earlier ones. A disk that cannot be written to is no error."""
    moment = time.time() if now is None else now
    history = {name: list(known) for name, known in _read(stack, folder).items()}
    for name, level in levels.items():
        known = history.setdefault(name, [])
        if not known or moment - known[-1][0] >= _LEAST_SECONDS:
            known.append((moment, level))
        history[name] = known[-_MOST:]
    try:
        write_private(_file(stack, folder), json.dumps(history))
    except OSError:
        return


def days_until_full(stack: str, name: str, folder: Path | None = None) -> int | None:
    """Return in how many days a volume will be full; None if it does not grow, or for less than a day of history."""
    return forecast(_read(stack, folder).get(name, []))


def forecast(known: Sequence[Measurement]) -> int | None:
    """Return the days until 100 % on the straight line through the measurements since the usage last fell clearly."""
    since = _since_last_fall(known)
    if len(since) < 2 or since[-1][0] - since[0][0] < DAY:
        return None
    middle = sum(moment for moment, _ in since) / len(since)
    average = sum(level for _, level in since) / len(since)
    spread = sum((moment - middle) ** 2 for moment, _ in since)
    slope = sum((moment - middle) * (level - average) for moment, level in since) / spread * DAY
    if slope < _STEADY:
        return None
    days = int((100 - since[-1][1]) / slope)
    return days if days <= _HORIZON else None


def _since_last_fall(known: Sequence[Measurement]) -> Sequence[Measurement]:
    """The measurements after someone made room, or made the volume larger: from then on, the old line says nothing."""
    for index in range(len(known) - 1, 0, -1):
        if known[index][1] < known[index - 1][1] - 2:
            return known[index:]
    return known


def _read(stack: str, folder: Path | None) -> dict[str, list[Measurement]]:
    try:
        content = json.loads(_file(stack, folder).read_text())
        return {str(name): [(float(a), float(b)) for a, b in known] for name, known in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _file(stack: str, folder: Path | None) -> Path:
    return (folder or FOLDER) / f"{stack}.levels.json"
