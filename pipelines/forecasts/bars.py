"""A bar chart as SVG: text that is the same for the same numbers, and needs no library to draw."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 260
LEFT, TOP, BOTTOM = 48, 44, 32
COLOURS = ("#2563a8", "#9aa5b1", "#c9d1d9", "#e3b341")
LINES = 4  # of the scale


def bar_chart(title: str, groups: Sequence[str], bars: Mapping[str, Sequence[float | None]]) -> str:
    """Groups of bars beside each other, one bar of each name a group; None draws no bar. Values are zero or more."""
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
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *drawn, "</svg>", ""])


def _text(x: float, y: float, said: str, *, size: int = 11, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="{size}" text-anchor="{anchor}" fill="#24292f">'
        f"{escape(said)}</text>"
    )
