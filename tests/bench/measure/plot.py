# SPDX-License-Identifier: GPL-3.0-or-later
"""All figures that have a target, as bars of how much of it they use: up to the line it is reached."""

from xml.sax.saxutils import escape

HEIGHT, LEFT, WIDTH, RIGHT = 17, 420, 360, 150
MOST = 2.0  # times the target; longer bars are cut
REACHED, MISSED, GREY = "#3b7a57", "#b5482f", "#777"
STYLE = ('font-family="sans-serif" font-size="11" role="img" '
         'aria-label="Measured figures relative to what they must reach"')


def used(figure):
    """Of the target: 0.5 is twice as good as it must be, above 1 it is missed."""
    if figure.at_least is not None:
        return figure.at_least / figure.value if figure.value else MOST
    if figure.at_most == 0:
        return 0.0 if figure.value <= 0 else MOST
    return figure.value / figure.at_most


def _bar(figure, y):
    share = max(used(figure), 0.0)
    width = min(share, MOST) / MOST * WIDTH
    colour = REACHED if figure.ok else MISSED
    value = f"{figure.value:.3g} {figure.unit} ({figure.target})"
    return (f'<text x="{LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(figure.case)}</text>'
            f'<rect x="{LEFT}" y="{y + 3}" width="{max(width, 1):.1f}" height="{HEIGHT - 6}" fill="{colour}"/>'
            f'<text x="{LEFT + max(width, 1) + 5:.1f}" y="{y + 12}" fill="{GREY}">{escape(value)}</text>')


def svg(figures, sentence):
    shown = [f for f in figures if f.ok is not None]
    rows = list(dict.fromkeys(f.row for f in shown))
    height = HEIGHT * (len(shown) + len(rows)) + 50
    out = []
    y = 42
    for row in rows:
        out.append(f'<text x="6" y="{y + 12}" font-weight="bold">{escape(row)}</text>')
        y += HEIGHT
        for f in shown:
            if f.row == row:
                out.append(_bar(f, y))
                y += HEIGHT
    line = LEFT + WIDTH / MOST
    out.append(f'<line x1="{line}" x2="{line}" y1="36" y2="{y}" stroke="{GREY}" stroke-dasharray="3 2"/>')
    total = LEFT + WIDTH + RIGHT
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" {STYLE} width="{total}" height="{height}" '
            f'viewBox="0 0 {total} {height}">',
            "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
            f'<rect width="{total}" height="{height}" fill="#fff"/>',
            '<text x="6" y="15">Share of the target that is used; left of the line it is reached</text>',
            f'<text x="6" y="30" fill="{GREY}">{escape(sentence)}</text>']
    return "\n".join([*head, *out, "</svg>"]) + "\n"
