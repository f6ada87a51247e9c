#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures scenekeepd beside a raw ROUTER-to-ROUTER forwarder, and beside any other server when one is given.

    bench.py [--smoke] [--only NAME] [--json FILE] [--svg FILE]

The programs are looked for where `make` puts them, under $top_builddir. BENCH_REFERENCE, when set, is a command line
with %PORT% and %ADMIN% in it that starts another server on these three ports and this admin password.

Rounds of all servers are interleaved, so that what else the machine does hits them alike; medians are compared and the
spread is shown. CPU time is the server's alone, from /proc: on a busy machine it says more than the time on the clock.
"""

import argparse
import json
import os
import platform
import random
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ADMIN = "bench"
TICKS = os.sysconf("SC_CLK_TCK")
SIZES = {"1 KiB": 1024, "64 KiB": 65536, "1 MiB": 1 << 20}


def free_port():
    """The first of three consecutive free ports."""
    while True:
        first = random.randrange(12000, 32000)
        held = []
        try:
            for port in range(first, first + 3):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for s in held:
                s.close()


class Subject:
    """A server under measurement, started anew for every round."""

    def __init__(self, name, command, raw=False):
        self.name, self.command, self.raw = name, command, raw

    def start(self, folder):
        self.port = free_port()
        words = [w.replace("%PORT%", str(self.port)).replace("%ADMIN%", ADMIN).replace("%DATA%", folder)
                 for w in self.command]
        self.process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        last = self.port if self.raw else self.port + 2
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", last), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        raise SystemExit(f"{self.name} did not start: {shlex.join(words)}")

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stream:
            fields = stream.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def written(self):
        with open(f"/proc/{self.process.pid}/io", encoding="ascii") as stream:
            return dict((k, int(v)) for k, v in (line.split(": ") for line in stream))["wchar"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def measure(subject, load, arguments):
    """One round: a fresh server, one run of the load generator."""
    folder = tempfile.mkdtemp(prefix="scenekeep-bench-")
    try:
        subject.start(folder)
        words = [load, "--port", str(subject.port), *arguments]
        words += ["--raw"] if subject.raw else ["--admin-password", ADMIN]
        before, written = subject.cpu(), subject.written()
        done = subprocess.run(words, stdout=subprocess.PIPE, check=False, timeout=180)
        if done.returncode != 0 or subject.process.poll() is not None:
            raise SystemExit(f"{subject.name}: {shlex.join(words)} failed"
                             f" (server: {subject.process.poll() or 'running'})")
        result = json.loads(done.stdout)
        result["cpu_us_per_delivery"] = (subject.cpu() - before) * 1e6 / max(result["received"], 1)
        if not subject.raw:
            result["written_per_byte"] = (subject.written() - written) / max(result["sent"] * result["size"], 1)
        return result
    finally:
        if getattr(subject, "process", None):
            subject.stop()
        shutil.rmtree(folder, ignore_errors=True)


def median(rounds, key):
    return statistics.median(r[key] for r in rounds)


def spread(rounds, key):
    values = [r[key] for r in rounds]
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def run_case(name, subjects, load, arguments, n_rounds):
    rounds = {s.name: [] for s in subjects}
    for number in range(n_rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            rounds[subject.name].append(measure(subject, load, arguments))
    return {"case": name, "arguments": arguments, "rounds": rounds}


def cases(smoke):
    seconds = "0.5" if smoke else "3"
    receivers = (4,) if smoke else (1, 4, 16, 32)
    for label, size in SIZES.items():
        if smoke and size > 65536:
            continue
        for n in receivers:
            yield (f"fan-out {label} to {n}", "throughput",
                   ["--receivers", str(n), "--size", str(size), "--seconds", seconds])
    for label, size in SIZES.items():
        if smoke and size > 1024:
            continue
        yield (f"flat out {label} to 4", "flat out",
               ["--receivers", "4", "--size", str(size), "--seconds", "0.3" if smoke else "1", "--window", "0"])
    rates = {"1 KiB": 200, "64 KiB": 50, "1 MiB": 10}
    for label, size in SIZES.items():
        if smoke and size > 1024:
            continue
        for n in (4,) if smoke else (4, 32):
            yield (f"latency {label} to {n} at {rates[label]}/s", "latency",
                   ["--receivers", str(n), "--size", str(size), "--rate", str(rates[label]),
                    "--seconds", "1" if smoke else "5"])


def ratio(a, b):
    return a / b if b else float("nan")


def show(kind, result):
    raw = result["rounds"]["raw forwarder"]
    lines = []
    for name, rounds in result["rounds"].items():
        if kind == "latency":
            text = "  ".join(f"{label} {median(rounds, key):9.0f} us ({ratio(median(rounds, key), median(raw, key)):5.2f}x)"
                             for label, key in (("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us")))
        elif kind == "flat out":
            text = (f"{median(rounds, 'deliveries_per_second'):9.0f}/s  not delivered one by one "
                    f"{median(rounds, 'missing'):8.0f}  lost {median(rounds, 'behind'):5.0f} of "
                    f"{4 * 64} newest versions")
        else:
            rate, limit = median(rounds, "deliveries_per_second"), median(raw, "deliveries_per_second")
            cpu, least = median(rounds, "cpu_us_per_delivery"), median(raw, "cpu_us_per_delivery")
            text = (f"{rate:9.0f}/s ({ratio(rate, limit):4.2f} of raw, spread {spread(rounds, 'deliveries_per_second'):4.0%})"
                    f"  CPU {cpu:8.2f} us each ({ratio(cpu, least):4.2f}x)")
            if "written_per_byte" in rounds[0]:
                text += f"  written {median(rounds, 'written_per_byte'):5.3f} bytes per byte"
        lines.append(f"  {name:14} {text}")
    print(result["case"], *lines, sep="\n", flush=True)


def plot(results, path):
    """Bars of throughput relative to the raw forwarder."""
    bars = []
    for kind, result in results:
        if kind != "throughput":
            continue
        limit = median(result["rounds"]["raw forwarder"], "deliveries_per_second")
        for name, rounds in result["rounds"].items():
            if name != "raw forwarder":
                bars.append((result["case"], name, ratio(median(rounds, "deliveries_per_second"), limit)))
    height, width, left = 18, 420, 260
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11" '
           f'width="{left + width + 60}" height="{height * len(bars) + 40}">',
           '<text x="4" y="14">Deliveries per second, relative to a raw forwarder (1.0)</text>']
    for i, (case, name, value) in enumerate(bars):
        y = 24 + i * height
        out.append(f'<text x="4" y="{y + 12}">{case}, {name}</text>'
                   f'<rect x="{left}" y="{y + 2}" width="{min(value, 1.1) * width / 1.1:.1f}" height="{height - 5}" '
                   f'fill="{"#3b6ea5" if name == "scenekeepd" else "#b0b0b0"}"/>'
                   f'<text x="{left + min(value, 1.1) * width / 1.1 + 4:.1f}" y="{y + 12}">{value:.2f}</text>')
    x = left + width / 1.1
    out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="{24 + height * len(bars)}" stroke="#888"/></svg>')
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", help="write everything to this file")
    parser.add_argument("--svg", help="write a plot to this file")
    arguments = parser.parse_args()

    build = os.environ.get("top_builddir", ".")
    def built(name):
        path = os.path.abspath(os.path.join(build, name))
        if not os.access(path, os.X_OK):
            sys.exit(f"{path} is missing: run `make bench`, or set top_builddir to where the programs were built")
        return path
    load = built("tests/bench/bench-load")
    subjects = [Subject("raw forwarder", [built("tests/bench/bench-forwarder"), "127.0.0.1", "%PORT%"], raw=True),
                Subject("scenekeepd", [built("scenekeepd"), "--port", "%PORT%", "--listen", "127.0.0.1", "--data-dir",
                                       "%DATA%/data", "--admin-password", "%ADMIN%"])]
    if os.environ.get("BENCH_REFERENCE"):
        subjects.append(Subject("reference", shlex.split(os.environ["BENCH_REFERENCE"])))

    n_rounds = arguments.rounds or (1 if arguments.smoke else 5)
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "kernel": platform.release(),
               "load_average": os.getloadavg()}
    print(f"{machine['cpus']} CPUs ({machine['machine']}), Linux {machine['kernel']}, load average "
          f"{machine['load_average'][0]:.1f} at the start, {n_rounds} rounds each")
    results = []
    for name, kind, words in cases(arguments.smoke):
        if arguments.only in name:
            results.append((kind, run_case(name, subjects, load, words, n_rounds)))
            show(*results[-1])
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as stream:
            json.dump({"machine": machine, "results": [{"kind": k, **r} for k, r in results]}, stream, indent=1)
    if arguments.svg:
        plot(results, arguments.svg)


if __name__ == "__main__":
    main()
