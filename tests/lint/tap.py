# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of lint tests in TAP: a case passes when it found no fault."""
import os
import sys

TOP = os.path.abspath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", "..")))

# The order is the architecture: a room may include itself and the rooms before it.
ROOMS = ["base", "pickle", "delta", "store", "scene", "session", "net", "control", "daemon", "ctl"]

# Folders of the project, as against builds and data that may lie beside them.
FOLDERS = ["src", "units", "etc", "packaging", "tests", ".ci"]
FILES = ["configure.ac", "Makefile.am", "README.md", "bootstrap", "NEWS"]


def source_files(*suffixes):
    """Paths, relative to the top, of all files of the project whose name ends so (all files when none is given)."""
    found = [f for f in FILES if os.path.exists(os.path.join(TOP, f))]
    for folder in FOLDERS:
        for base, folders, files in os.walk(os.path.join(TOP, folder)):
            folders[:] = [d for d in folders if d not in ("__pycache__", ".pytest_cache")]
            found += [os.path.relpath(os.path.join(base, f), TOP) for f in files]
    return sorted(f for f in found if not suffixes or f.endswith(suffixes))


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def run(*cases):
    """Runs functions that yield faults; the first line of a function's docstring names it."""
    print(f"1..{len(cases)}")
    failed = False
    for number, case in enumerate(cases, 1):
        faults = list(case())
        for fault in faults:
            print(f"# {fault}")
        print(f"{'not ok' if faults else 'ok'} {number} - {case.__doc__.splitlines()[0]}")
        failed = failed or bool(faults)
    sys.exit(1 if failed else 0)
