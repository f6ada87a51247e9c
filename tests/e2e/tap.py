# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one numbered file with pytest and tells the outcome of every case as TAP, which is what `make check` reads."""

import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.environ.get("E2E_REFERENCE")
NEEDED = {"pytest": "python3-pytest", "zmq": "python3-zmq", "deepdiff": "python3-deepdiff"}


def check_packages():
    missing = []
    for module, package in NEEDED.items():
        try:
            __import__(module)
        except ImportError:
            missing.append(f"{module} (package {package})")
    if missing:
        print(f"Bail out! The end-to-end tests need Python's {', '.join(missing)}: install them and run again")
        sys.exit(1)


# A test file imports this module first, so that this is said before its other imports fail.
check_packages()


class Tap:
    def __init__(self):
        self.number = 0
        self.problem = None

    def pytest_configure(self, config):
        config.option.tbstyle = "short"
        config.option.verbose = 0  # assertions ask for it

    def pytest_collection_finish(self, session):
        print(f"1..{len(session.items)}", flush=True)

    def pytest_collectreport(self, report):
        if report.failed:
            self.problem = str(report.longrepr)

    def pytest_runtest_logreport(self, report):
        # A case is told at its teardown, when the fixtures have checked what it left behind.
        name = report.nodeid.split("::", 1)[-1].replace("#", "")
        state = self.__dict__.setdefault("_state", {})
        outcome = state.setdefault(report.nodeid, {"failed": False, "skip": None, "notes": []})
        if report.failed:
            outcome["failed"] = True
            outcome["notes"].append(f"{report.when}:\n{report.longreprtext}")
            for title, text in report.sections:
                outcome["notes"].append(f"{title}:\n{text}")
        if report.skipped:
            outcome["skip"] = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if report.when != "teardown":
            return
        for title, text in report.sections:
            if not outcome["failed"] and title.startswith("Captured stdout"):
                print("\n".join("# " + line for line in text.splitlines()))
        self.number += 1
        verdict = "not ok" if outcome["failed"] else "ok"
        suffix = f" # SKIP {outcome['skip']}" if outcome["skip"] and not outcome["failed"] else ""
        print(f"{verdict} {self.number} {name}{suffix}", flush=True)
        for note in outcome["notes"]:
            print("\n".join("# " + line for line in note.splitlines()), flush=True)

    def pytest_internalerror(self, excrepr):
        self.problem = str(excrepr)


def _interrupt(number, frame):
    raise KeyboardInterrupt(f"signal {number}")


def main(path, arguments=()):
    """To be called by a test file that is run as a program; returns its exit status."""
    import pytest
    tap = Tap()
    # So that the fixtures end the servers and remove their folders then as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    sys.dont_write_bytecode = True
    status = pytest.main([os.path.abspath(path), "-p", "no:cacheprovider", "-p", "no:terminal", "--rootdir", HERE,
                          "-c", os.path.join(HERE, "pytest.ini"), *arguments], plugins=[tap])
    if tap.problem:
        print("\n".join("# " + line for line in tap.problem.splitlines()))
        print("Bail out! The tests could not be collected")
        return 1
    return int(status)
