# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers under measurement, each started anew with a folder of its own."""

import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .usage import Usage, anonymous_bytes

ADMIN = "bench"
RAW, JOURNALLING, OURS, REFERENCE = "raw forwarder", "journalling forwarder", "scenekeepd", "reference"
START_TIMEOUT = 60
REST_SECONDS = 1.5  # the sync comes a second after the first change, and memory is given back after that


class Failed(Exception):
    """Something under measurement did not do what it should; the other rows can be measured all the same."""


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
    """A kind of server: its name and command line, with %PORT%, %ADMIN% and %DATA% in it."""

    def __init__(self, name, command):
        self.name, self.command = name, command
        self.raw = name in (RAW, JOURNALLING)

    def start(self):
        return Server(self)


class Server:
    """A running one; a context manager that leaves nothing behind."""

    def __init__(self, subject):
        self.subject, self.raw = subject, subject.raw
        self.folder = tempfile.mkdtemp(prefix="scenekeep-bench-")
        self.data = os.path.join(self.folder, "data")
        self.port = free_port()
        self.process = None
        try:
            self.spawn()
            self.wait_listening()
        except BaseException:
            self.close()
            raise

    def spawn(self):
        words = [w.replace("%PORT%", str(self.port)).replace("%ADMIN%", ADMIN).replace("%DATA%", self.data)
                 for w in self.subject.command]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_listening(self):
        last = self.port if self.raw else self.port + 2
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", last), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f"{self.subject.name} did not start ({shlex.join(self.subject.command)}):\n{self.log()}")

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def usage(self):
        return Usage.of(self.process.pid)

    def anonymous_bytes(self):
        return anonymous_bytes(self.process.pid)

    def settle(self):
        """Until it has come to rest: what follows from changes, a sync say, is no part of what is measured next."""
        before, since = self.usage().cpu, time.monotonic()
        deadline = since + 20
        while time.monotonic() < deadline:
            time.sleep(0.5)
            now = self.usage().cpu
            if now - before >= 0.002:
                since = time.monotonic()
            elif time.monotonic() - since >= REST_SECONDS:
                return
            before = now

    def save(self):
        """Has a snapshot taken and waits for its end."""
        saved = self.log().count("Session saved to disk")
        refused = self.log().count("Failed to save session")
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 60
        while (log := self.log()).count("Session saved to disk") == saved:
            if log.count("Failed to save session") > refused:  # the disk is busy with what has come before
                refused += 1
                time.sleep(1)
                self.process.send_signal(signal.SIGUSR1)
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Failed(f"no snapshot was taken:\n{self.log()[-2000:]}")
            time.sleep(0.002)

    def wait_log(self, text):
        deadline = time.monotonic() + START_TIMEOUT
        while text not in self.log():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Failed(f"the log never said {text!r}:\n{self.log()[-2000:]}")
            time.sleep(0.01)

    def restart(self):
        """Leaves and comes back with what it has saved."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.spawn()
        self.wait_log("Session restored from disk")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
