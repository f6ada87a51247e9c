# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as a table in Markdown."""


def _number(value):
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def markdown(figures, sentence):
    lines = [sentence, "", "| what | | measured | must reach | |", "|---|---|---|---|---|"]
    row = ""
    for f in figures:
        verdict = {True: "yes", False: "**no**", None: ""}[f.ok]
        cells = (f.row if f.row != row else "", f.case, f"{_number(f.value)} {f.unit}", f.target, verdict)
        lines.append("| " + " | ".join(cells) + " |")
        row = f.row
    return "\n".join(lines) + "\n"


def verdict(figures):
    missed = [f for f in figures if f.ok is False]
    tested = sum(f.ok is not None for f in figures)
    lines = [f"{tested - len(missed)} of {tested} targets reached"]
    lines += [f"  missed: {f.row}, {f.case}: {_number(f.value)} {f.unit}, must be {f.target}" for f in missed]
    return "\n".join(lines)
