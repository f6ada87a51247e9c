#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures scenekeepd beside a raw ROUTER-to-ROUTER forwarder, and beside any other server when one is given.

    bench.py [--smoke] [--only ROW[,ROW...]] [--rounds N] [--json FILE] [--svg FILE] [--markdown FILE] [--merge]

The programs are looked for where `make` puts them, under $top_builddir. BENCH_REFERENCE, when set, is a command line
with %PORT% and %ADMIN% in it that starts another server on these three ports and this admin password. BENCH_STOCK, when
set, is a Python interpreter with the add-on's library, which then initialises and joins instead of the tests' client.

Rounds of all servers are interleaved, so that what else the machine does hits them alike; medians are compared and the
spread is shown. CPU time is the server's alone: on a busy machine it says more than the time on the clock. With few
cores, the load generator and the server share them, and so do the generator and the forwarder that it is compared with.

--merge puts the rows that are measured in place of the same rows in the JSON file, so that rows can be measured one by one.
"""

import argparse
import json
import os
import sys

from measure import machine, plot, rows, table
from measure.bench import Bench
from measure.figure import Figure


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes: does everything still run?")
    parser.add_argument("--only", default="", help=f"only these rows, with commas: {', '.join(rows.ALL)}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", help="write everything to this file")
    parser.add_argument("--svg", help="write a plot to this file")
    parser.add_argument("--markdown", help="write the table to this file")
    parser.add_argument("--merge", action="store_true", help="keep the other rows that the JSON file has")
    return parser.parse_args()


def chosen(only):
    names = [n.strip() for n in only.split(",") if n.strip()] or list(rows.ALL)
    unknown = [n for n in names if n not in rows.ALL]
    if unknown:
        sys.exit(f"no row is called {', '.join(unknown)}; there are {', '.join(rows.ALL)}")
    return names


def kept(path, measured):
    """Figures and rounds of the rows that are not measured this time."""
    if not path or not os.path.exists(path):
        return [], []
    with open(path, encoding="utf-8") as stream:
        old = json.load(stream)
    figures = [Figure(**{k: v for k, v in f.items() if k != "ok"}) for f in old["figures"] if f["row"] not in measured]
    return figures, [r for r in old["rounds"] if r["row"] not in measured]


def write(path, text):
    if path:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)


def write_all(arguments, about, figures, rounds):
    """After each row, so that what has been measured is kept when the rest is not waited for."""
    order = list(rows.ALL)
    figures = sorted(figures, key=lambda f: order.index(f.row))
    rounds = sorted(rounds, key=lambda r: order.index(r["row"]))
    sentence = machine.sentence(about)
    write(arguments.json, json.dumps({"machine": about, "figures": [f.as_dict() for f in figures], "rounds": rounds},
                                     indent=1) + "\n")
    write(arguments.svg, plot.svg(figures, sentence))
    write(arguments.markdown, table.markdown(figures, sentence))
    return figures


def main():
    arguments = parse()
    names = chosen(arguments.only)
    bench = Bench(os.environ.get("top_builddir", "."), arguments.smoke, arguments.rounds)
    about = machine.describe(bench.daemon)
    print(f"{machine.sentence(about)}; {bench.n_rounds} rounds each")
    figures, rounds = kept(arguments.json if arguments.merge else None, names)
    all_figures = figures
    for name in names:
        bench.measure_row(name, rows.ALL[name])
        all_figures = write_all(arguments, about, figures + bench.figures, rounds + bench.rounds)
    print(table.verdict(all_figures))
    if bench.failures:
        sys.exit("\n".join(["not everything could be measured:", *bench.failures]))


if __name__ == "__main__":
    main()
