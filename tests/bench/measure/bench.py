# SPDX-License-Identifier: GPL-3.0-or-later
"""What every row of measurements needs: the programs, the servers, how often, and where results go."""

import os
import shlex
import subprocess
import sys

from .figure import Figure, exponent
from .load import Load
from .server import JOURNALLING, OURS, RAW, REFERENCE, Failed, Subject


class Bench:
    def __init__(self, build, smoke, rounds):
        self._build = build
        self.smoke = smoke
        self.n_rounds = rounds or (1 if smoke else 5)
        self.daemon = self.built("scenekeepd")
        self._load = self.built("tests/bench/bench-load")
        self._ctl = self.built("scenekeepctl")
        forwarder = [self.built("tests/bench/bench-forwarder"), "127.0.0.1", "%PORT%"]
        self.raw = Subject(RAW, forwarder)
        self.journalling = Subject(JOURNALLING, [*forwarder, "%DATA%"])
        self.ours = Subject(OURS, [self.daemon, "--port", "%PORT%", "--listen", "127.0.0.1", "--data-dir", "%DATA%",
                                   "--admin-password", "%ADMIN%"])
        reference = os.environ.get("BENCH_REFERENCE")
        self.reference = Subject(REFERENCE, shlex.split(reference)) if reference else None
        self.rounds = []   # of all cases, for the JSON
        self.figures = []
        self.failures = []
        self.row = ""

    def measure_row(self, name, run):
        self.row = name
        print(name, flush=True)
        try:
            run(self)
        except Failed as failure:
            self.failures.append(f"{name}: {failure}")
            print(f"  could not be measured: {failure}", flush=True)

    def built(self, name):
        path = os.path.abspath(os.path.join(self._build, name))
        if not os.access(path, os.X_OK):
            sys.exit(f"{path} is missing: run `make bench`, or set top_builddir to where the programs were built")
        return path

    @property
    def all(self):
        return [self.raw, *self.servers]

    @property
    def with_limits(self):
        """Everything, and the limit for whoever writes what it hears before passing it on."""
        return [self.raw, self.journalling, *self.servers]

    @property
    def servers(self):
        return [self.ours] + ([self.reference] if self.reference else [])

    def load(self, server, **options):
        return Load(self._load, server, **options)

    def ctl(self, server, *words):
        """Begins a scenekeepctl for the server's session."""
        return subprocess.Popen([self._ctl, "--data-dir", server.data, *words], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def interleave(self, case, subjects, measure):
        """Rounds of all subjects in turn, so that what else the machine does hits them alike."""
        rounds = {s.name: [] for s in subjects}
        for number in range(self.n_rounds):
            for subject in subjects if number % 2 == 0 else reversed(subjects):
                rounds[subject.name].append(measure(subject))
        self.rounds.append({"row": self.row, "case": case, "rounds": rounds})
        return rounds

    def figure(self, case, value, unit="", **targets):
        f = Figure(self.row, case, value, unit, **targets)
        self.figures.append(f)
        verdict = {True: "pass", False: "MISS", None: ""}[f.ok]
        print(f"  {case:52} {value:10.3f} {unit:12} {f.target:9} {verdict:5} {f.note}", flush=True)

    def growth(self, what, sizes, costs):
        """At three sizes or more, what is measured must grow in proportion."""
        note = ", ".join(f"{s:g}: {c:.4g}" for s, c in zip(sizes, costs))
        self.figure(f"growth of {what}", exponent(sizes, costs), "exponent", at_most=1.1, note=note)
