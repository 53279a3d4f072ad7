"""A plot of lines as SVG, by hand, because it is the only picture of this repository and needs no library for it."""

from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT, _MARGIN = 720, 360, 56
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # distinguishable for the color-blind (Okabe and Ito)
_TICKS = 5


def plot(title: str, across: str, series: Mapping[str, Points]) -> str:
    """The picture of these lines, with both axes from zero.

    Args:
        title: title above the plot.
        across: label of the horizontal axis.
        series: points by the name of their line; at most four lines.

    Raises:
        ValueError: there are no points, or more lines than colors.
    """
    points = [point for line in series.values() for point in line]
    if not points or len(series) > len(_COLORS):
        raise ValueError(f"a plot has one to {len(_COLORS)} lines with points")
    right, top = (max(point[axis] for point in points) or 1 for axis in (0, 1))
    parts = [_text(_WIDTH / 2, 20, title, "middle"), _text(_WIDTH / 2, _HEIGHT - 8, across, "middle")]
    for number in range(_TICKS + 1):
        x, y = _place(right * number / _TICKS, 0, right, top)
        parts.append(_text(x, y + 18, f"{right * number / _TICKS:.0f}", "middle"))
        x, y = _place(0, top * number / _TICKS, right, top)
        parts.append(f'<path d="M{x:.0f} {y:.0f}H{_WIDTH - _MARGIN}" stroke="#ddd"/>')
        parts.append(_text(x - 6, y + 4, f"{top * number / _TICKS:.0f}", "end"))
    for number, ((name, line), color) in enumerate(zip(series.items(), _COLORS, strict=False)):
        places = " ".join("{:.1f},{:.1f}".format(*_place(x, y, right, top)) for x, y in line)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(_text(_MARGIN + 12, _MARGIN + 16 * number, name, "start", color))
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n' + "\n".join(parts) + "\n</svg>\n"


def _place(x: float, y: float, right: float, top: float) -> tuple[float, float]:
    """Where a point is in the picture."""
    across, down = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    return _MARGIN + across * x / right, _HEIGHT - _MARGIN - down * y / top


def _text(x: float, y: float, text: str, anchor: str, color: str = "#333") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{color}">{escape(text)}</text>'
