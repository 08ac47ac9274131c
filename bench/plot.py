"""The medians of a window's benchmark as one SVG picture, without a plotting library for a dozen bars."""

from __future__ import annotations

from html import escape

from bench.result import Result

_ROW, _LEFT, _WIDTH = 24, 110, 620


def plot(result: Result) -> str:
    """SVG text: a bar of each step's median seconds with a line from least to most, and its ratio to the bare scans."""
    # The day is measured on another lake, and takes so long that the bars of the hour would vanish beside it.
    steps = {n: s for n, s in result.seconds.items() if n not in ("day", "24_hours")}
    floor, longest = steps["floor"]["median"], max(s["most"] for s in steps.values())
    title = f"{result.day}, {result.machine}, {result.size['hosts']} hosts: seconds, and times the bare scans"
    parts = [f'<text x="4" y="16" font-weight="bold">{escape(title)}</text>']
    for i, (name, seconds) in enumerate(steps.items()):
        y, scale = 28 + i * _ROW, (_WIDTH - 140) / longest
        bar, least, most = (
            _LEFT + seconds[k] * scale if k != "median" else seconds[k] * scale for k in ("median", "least", "most")
        )
        label = f"{seconds['median']:.2f} s, {seconds['median'] / floor:.1f} x"
        parts += [
            f'<text x="4" y="{y + 14}">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y + 3}" width="{bar:.1f}" height="{_ROW - 8}" fill="#4a7ab5"/>',
            f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{y + 11}" y2="{y + 11}" stroke="#222" stroke-width="2"/>',
            f'<text x="{most + 6:.1f}" y="{y + 14}">{label}</text>',
        ]
    height = 36 + len(steps) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + 60} {height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )
