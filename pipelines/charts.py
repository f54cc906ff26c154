"""Charts as SVG: text that is the same for the same numbers, and needs no library to draw."""

from collections.abc import Mapping, Sequence
from datetime import date
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 260
LEFT, TOP, BOTTOM, RIGHT = 48, 44, 32, 8
COLOURS = ("#2563a8", "#9aa5b1", "#c9d1d9", "#e3b341")
LINE_COLOURS = ("#24292f", "#2563a8", "#d9822b")
MARK = "#c62828"
LINES = 4  # of the scale


def bar_chart(title: str, groups: Sequence[str], bars: Mapping[str, Sequence[float | None]], *, mark: float | None = None) -> str:
    """Groups of bars beside each other, one bar of each name a group; None draws no bar. Values are zero or more.

    `mark` is a value at which a line is drawn across.
    """
    highest = max((value for values in bars.values() for value in values if value is not None), default=0) or 1
    room = HEIGHT - TOP - BOTTOM
    wide = (WIDTH - LEFT) / max(len(groups), 1)
    bar = 0.8 * wide / max(len(bars), 1)
    drawn = [_text(LEFT, 16, title, size=14)]
    for n in range(LINES + 1):
        at = TOP + room * (1 - n / LINES)
        drawn.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH}" stroke="#e5e8eb"/>')
        drawn.append(_text(LEFT - 6, at + 4, f"{highest * n / LINES:.2f}", anchor="end"))
    for b, (name, values) in enumerate(bars.items()):
        colour = COLOURS[b % len(COLOURS)]
        drawn.append(f'<rect x="{LEFT + 150 * b}" y="24" width="10" height="10" fill="{colour}"/>')
        drawn.append(_text(LEFT + 150 * b + 15, 33, name))
        for g, value in enumerate(values):
            if value is not None:
                tall = room * value / highest
                left = LEFT + wide * (g + 0.1) + bar * b
                drawn.append(
                    f'<rect x="{left:.1f}" y="{TOP + room - tall:.1f}" width="{bar * 0.9:.1f}" height="{tall:.1f}" fill="{colour}">'
                    f"<title>{escape(name)}, {escape(groups[g])}: {value:.4f}</title></rect>"
                )
    drawn += [_text(LEFT + wide * (g + 0.5), HEIGHT - 12, group, anchor="middle") for g, group in enumerate(groups)]
    if mark is not None and mark <= highest:
        at = TOP + room * (1 - mark / highest)
        drawn.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH}" stroke="{MARK}" stroke-dasharray="5 3"/>')
    return _whole(drawn)


Values = Sequence[float | None]


def line_chart(
    title: str, days: Sequence[date], lines: Mapping[str, Values], *, bands: Sequence[tuple[Values, Values]] = ()
) -> str:
    """Lines over days, from zero up; None is a gap. `bands` are ranges (low, high) behind them, the widest first."""
    ends = [value for _, high in bands for value in high]
    highest = max((value for values in (*lines.values(), ends) for value in values if value is not None), default=0) or 1
    room, wide = HEIGHT - TOP - BOTTOM, WIDTH - LEFT - RIGHT
    step = wide / max(len(days) - 1, 1)

    def at(n: int, value: float) -> str:
        return f"{LEFT + step * n:.1f} {TOP + room * (1 - max(value, 0) / highest):.1f}"

    drawn = [_text(LEFT, 16, title, size=14)]
    for n in range(LINES + 1):
        y = TOP + room * (1 - n / LINES)
        drawn.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH}" stroke="#e5e8eb"/>')
        drawn.append(_text(LEFT - 6, y + 4, _short(highest * n / LINES), anchor="end"))
    for low, high in bands:
        known = [(n, a, b) for n, (a, b) in enumerate(zip(low, high, strict=True)) if a is not None and b is not None]
        if known:
            round_trip = [at(n, b) for n, _, b in known] + [at(n, a) for n, a, _ in reversed(known)]
            drawn.append(f'<path d="M{"L".join(round_trip)}Z" fill="{COLOURS[0]}" fill-opacity="0.18"/>')
    for b, (name, values) in enumerate(lines.items()):
        colour = LINE_COLOURS[b % len(LINE_COLOURS)]
        drawn.append(f'<rect x="{LEFT + 150 * b}" y="24" width="10" height="10" fill="{colour}"/>')
        drawn.append(_text(LEFT + 150 * b + 15, 33, name))
        path, is_down = "", False
        for n, value in enumerate(values):
            if value is not None:
                path += ("L" if is_down else "M") + at(n, value)
            is_down = value is not None
        drawn.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for n in sorted({0, len(days) // 2, len(days) - 1}) if days else ():
        anchor = "start" if n == 0 else "end" if n == len(days) - 1 else "middle"
        drawn.append(_text(LEFT + step * n, HEIGHT - 12, days[n].isoformat(), anchor=anchor))
    return _whole(drawn)


def _short(value: float) -> str:
    """A number for a scale.

    >>> _short(0), _short(12.5), _short(81234), _short(2_500_000)
    ('0', '12.5', '81.2k', '2.5M')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _whole(drawn: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *drawn, "</svg>", ""])


def _text(x: float, y: float, said: str, *, size: int = 11, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="{size}" text-anchor="{anchor}" fill="#24292f">'
        f"{escape(said)}</text>"
    )
