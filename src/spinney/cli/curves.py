"""Curves over time, drawn with characters or as SVG: pure, and nothing about what they mean.

Both drawings show the same: an area, lines that go in steps, and marks on the time axis. A gap is a value that is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _LINE, _GAP, _BOTTOM = 960, 170, 64, 16, 38, 18, 46, 40
_LABELS = 4

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Curve:
    """``filled``: an area; otherwise a line. ``tone``: which of a few colours, that can be told apart without colour too."""

    title: str
    values: Values
    filled: bool = False
    tone: int = 0


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves over the same moments; ``unit`` is written at the axis."""

    title: str
    curves: Sequence[Curve]
    marks: Sequence[int] = ()


def plain(panel: Panel, width: int, height: int = 8) -> list[str]:
    """Lines of text: the first curve as bars, a dot in each column for the second one."""
    columns = max(width - 10, 10)
    bars = _squeezed(panel.curves[0].values, columns)
    dots = _squeezed(panel.curves[1].values, columns) if len(panel.curves) > 1 else [None] * len(bars)
    top = _round_up(max([0.0, *(v for v in (*bars, *dots) if v is not None)]))
    lines = [panel.title]
    for row in range(height, 0, -1):
        low, high = top * (row - 1) / height, top * row / height
        label = number(high) if row in (height, height // 2) else ""
        cells = "".join(_cell(bar, dot, low, high, last=row == 1) for bar, dot in zip(bars, dots, strict=True))
        lines.append(f"{label:>8} │{cells}".rstrip())
    marked = {index * len(bars) // max(len(panel.curves[0].values), 1) for index in panel.marks}
    axis = "".join("┴" if index in marked else "─" for index in range(len(bars)))
    lines.append(f"{0:>8} └{axis}")
    return lines


def _cell(bar: float | None, dot: float | None, low: float, high: float, *, last: bool) -> str:
    if dot is not None and (low < dot <= high or (last and dot == 0)):
        return "•"
    if bar is None:
        return "?" if last else " "
    return _EIGHTHS[round(8 * min(max((bar - low) / (high - low), 0.0), 1.0))]


def _squeezed(values: Values, columns: int) -> list[float | None]:
    """The greatest value of each stretch, so that no peak is lost."""
    if len(values) <= columns:
        return list(values)
    edges = [index * len(values) // columns for index in range(columns + 1)]
    stretches = (values[a:b] for a, b in pairwise(edges))
    return [max((v for v in stretch if v is not None), default=None) for stretch in stretches]


def _round_up(value: float) -> float:
    """To what four equal parts of are easily read; never 0."""
    if value < 1e-300:  # what is as good as 0 has no power of ten that a float can hold
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= value * 0.999999)


def number(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:.3g}"


def span(seconds: float) -> str:
    for size, letter in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {letter}"
    return f"{seconds:.3g} s"


# --- SVG --------------------------------------------------------------------------------------------------------------

_STYLE = """
.paper{fill:#fff}.ink{fill:#1f2933}.faint{fill:#66727f}.grid{stroke:#e3e8ee;stroke-width:1}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.t0{stroke:#1769aa}.t1{stroke:#c2410c;stroke-dasharray:6 4}
.t2{stroke:#2f855a;stroke-dasharray:2 3}.t3{stroke:#7c3aed;stroke-dasharray:9 3 2 3}
.area{stroke:none;fill-opacity:.22}.a0{fill:#1769aa}.a1{fill:#8795a4}.a2{fill:#2f855a}.a3{fill:#7c3aed}
.mark{stroke:#1769aa;stroke-width:1.5}
text{font:13px system-ui,sans-serif}.title{font-size:16px;font-weight:600}
@media (prefers-color-scheme:dark){.paper{fill:#14181d}.ink{fill:#e6ebf0}.faint{fill:#93a1b0}.grid{stroke:#2a323b}
.t0{stroke:#63b3ed}.a0{fill:#63b3ed}.t1{stroke:#f6ad55}.t2{stroke:#68d391}.t3{stroke:#b794f4}.mark{stroke:#63b3ed}}
"""


def svg(title: str, told: Sequence[str], panels: Sequence[Panel], seconds: float) -> str:
    """A document of its own, with nothing fetched from elsewhere; it follows the reader's light or dark colours. ``told``:
    lines under the title."""
    top = _TOP + _LINE * len(told)
    height = top + len(panels) * (_PANEL + _GAP) + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><desc>{escape('; '.join(told))}</desc><style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        f'<text class="ink title" x="{_LEFT}" y="26">{escape(title)}</text>',
        *(
            f'<text class="faint" x="{_LEFT}" y="{46 + _LINE * index}">{escape(line)}</text>'
            for index, line in enumerate(told)
        ),
    ]
    for index, panel in enumerate(panels):
        parts += _panel(panel, top + _GAP / 2 + index * (_PANEL + _GAP))
    parts += _times(seconds, height - _BOTTOM + 4)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, top: float) -> list[str]:
    known = [v for curve in panel.curves for v in curve.values if v is not None]
    most = _round_up(max([0.0, *known]))
    if all(v == int(v) for v in known):  # they are counted: no label between two of them
        most = float(_LABELS * math.ceil(most / _LABELS))
    parts = []
    for step in range(_LABELS + 1):
        y = top + _PANEL - _PANEL * step / _LABELS
        label = number(most * step / _LABELS)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="faint" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for curve in panel.curves:
        parts += _drawn(curve, most, top)
    count = max((len(curve.values) for curve in panel.curves), default=1)
    parts += [
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top + _PANEL:.1f}" y2="{top + _PANEL + 6:.1f}"/>'
        for x in (_across(mark, count) for mark in panel.marks)
    ]
    return [*parts, *_legend(panel, top)]


def _legend(panel: Panel, top: float) -> list[str]:
    parts = [f'<text class="ink" x="{_LEFT}" y="{top - 8:.1f}">{escape(panel.title)}</text>']
    x = float(_WIDTH - _RIGHT)
    for curve in reversed(panel.curves):
        x -= 7.2 * len(curve.title)
        parts.append(f'<text class="ink" x="{x:.0f}" y="{top - 8:.1f}">{escape(curve.title)}</text>')
        if curve.filled:
            parts.append(
                f'<rect class="area a{curve.tone}" x="{x - 28:.0f}" y="{top - 18:.1f}" width="22" height="11"/>'
            )
        else:
            y = top - 12.5
            parts.append(f'<path class="line t{curve.tone}" d="M{x - 28:.0f},{y:.1f}h22"/>')
        x -= 44
    return parts


def _across(index: float, count: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * index / max(count, 1)


def _drawn(curve: Curve, most: float, top: float) -> list[str]:
    """Each stretch of known values is a path in steps: a value holds until the next one."""
    count, bottom, parts = len(curve.values), top + _PANEL, []
    for begin, stretch in _stretches(curve.values):
        points = []
        for index, value in enumerate(stretch, begin):
            y = bottom - _PANEL * value / most
            points.append(f"{_across(index, count):.1f},{y:.1f}H{_across(index + 1, count):.1f}")
        path = "V".join([points[0], *(point.split(",")[1] for point in points[1:])])
        if curve.filled:
            x = f"{_across(begin, count):.1f}"
            parts.append(f'<path class="area a{curve.tone}" d="M{path}V{bottom:.1f}H{x}Z"/>')
        else:
            parts.append(f'<path class="line t{curve.tone}" d="M{path}"/>')
    return parts


def _stretches(values: Values) -> list[tuple[int, list[float]]]:
    found: list[tuple[int, list[float]]] = []
    known = False
    for index, value in enumerate(values):
        if value is None:
            known = False
            continue
        if not known:
            found.append((index, []))
        found[-1][1].append(value)
        known = True
    return found


def _times(seconds: float, y: float) -> list[str]:
    parts = []
    for step in range(7):
        x = _across(step, 6)
        anchor = {0: "start", 6: "end"}.get(step, "middle")
        label = span(seconds * step / 6) if step else "0"
        parts.append(f'<text class="faint" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{label}</text>')
    return parts
