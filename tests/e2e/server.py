# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the daemon under test on ports of its own, with data of its own, and sees that nothing is left of it."""

import ctypes
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import fleet as fleet_module

ADMIN_PASSWORD = "admin password"
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer: detected")
START_TIMEOUT = 60.0
# What would configure the daemon, or make it think that a service manager has started it.
FOREIGN_ENVIRONMENT = {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID",
                       "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "JOURNAL_STREAM", "PORT", "ADMIN_PASSWORD",
                       "SERVER_PASSWORD", "LOG_LEVEL", "TIMEOUT", "DATA_DIR", "SAVE_INTERVAL", "MAX_BACKUPS"}

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    """A test that is killed must not leave its daemon behind."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports():
    """Three consecutive free ports of the loopback interface, below those that the kernel gives to connections."""
    while True:
        first = random.SystemRandom().randrange(12000, 32000)
        held = []
        try:
            for port in range(first, first + 3):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", port))
            return [first, first + 1, first + 2]
        except OSError:
            continue
        finally:
            for s in held:
                s.close()


def program():
    path = os.environ.get("SCENEKEEPD")
    if not path:
        top = os.environ.get("top_builddir")
        if not top:
            raise RuntimeError("neither SCENEKEEPD nor top_builddir says where scenekeepd is: run `make check`, "
                               "or set SCENEKEEPD to the program")
        path = os.path.join(top, "scenekeepd")
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is not there or cannot be executed: build it with `make` first")
    return os.path.abspath(path)


class Server:
    """A daemon and its temporary folder. Settings are names of scenekeep.conf(5)."""

    def __init__(self, admin_password=ADMIN_PASSWORD, server_password="", start=True, environment=None, **settings):
        self.folder = tempfile.mkdtemp(prefix="scenekeep-e2e-")
        self.data_dir = os.path.join(self.folder, "data")
        self.log_path = os.path.join(self.folder, "log")
        self.work_dir = os.path.join(self.folder, "cwd")
        os.mkdir(self.work_dir)
        self.admin_password = admin_password
        self.server_password = server_password
        self.settings = {"save_interval": 3600, **settings}
        self.environment = environment or {}
        self.ports = free_ports()
        self.process = None
        self.starts = 0
        self.guarded = True  # its death fails the test, unless the test has ended it on purpose
        if start:
            self.start()

    @property
    def address(self):
        return "127.0.0.1", self.ports

    def arguments(self):
        out = [program(), "--port", str(self.ports[0]), "--listen", "127.0.0.1", "--data-dir", self.data_dir]
        if self.admin_password is not None:
            out += ["--admin-password", self.admin_password]
        if self.server_password is not None:
            out += ["--server-password", self.server_password]
        for key, value in self.settings.items():
            out += ["--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}"]
        return out

    def _spawn(self):
        inherited = {k: v for k, v in os.environ.items() if k not in FOREIGN_ENVIRONMENT}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.arguments(), cwd=self.work_dir, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**inherited, **self.environment},
                                            preexec_fn=_die_with_parent)
        self.starts += 1

    def start(self, wait=True):
        """Starts the daemon, and waits until it answers unless told otherwise."""
        for _ in range(5):
            self._spawn()
            if not wait or self.wait_ready():
                self.guarded = True
                return self
            if self.starts > 1 or "in use" not in self.log():
                break
            self.ports = free_ports()  # somebody else was faster
        raise AssertionError(f"the server did not come up (exit status {self.process.poll()}):\n{self.tail()}")

    def wait_ready(self, timeout=START_TIMEOUT):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.process.poll() is None:
            if fleet_module.server_info(self.address, 0.5):
                return True
        return False

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=60.0):
        return self.process.wait(timeout)

    def stop(self, number=signal.SIGTERM, timeout=60.0):
        """Asks the daemon to leave; it must do so with status 0."""
        self.guarded = False
        self.send_signal(number)
        status = self.wait_exit(timeout)
        assert status == 0, f"the server left with status {status} after signal {number}:\n{self.tail()}"

    def kill(self):
        """The process is gone at once, as after a crash or kill -9."""
        self.guarded = False
        self.process.kill()
        self.process.wait()

    def end(self, number):
        """By this signal."""
        if number == signal.SIGKILL:
            self.kill()
        else:
            self.stop(number)

    def restart(self, number=signal.SIGTERM, wait=True):
        self.end(number)
        return self.start(wait)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def check_alive(self):
        if not self.running:
            raise AssertionError(f"the server has died with status {self.process.returncode}:\n{self.tail()}")

    # the log

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def tail(self, lines=40):
        return "\n".join("    " + line for line in self.log().splitlines()[-lines:])

    def mark(self):
        """A place in the log, for `since`."""
        return os.path.getsize(self.log_path)

    def log_since(self, mark):
        with open(self.log_path, "rb") as stream:
            stream.seek(mark)
            return stream.read().decode("utf-8", "replace")

    def logged(self, pattern, mark=0):
        return re.search(pattern, self.log_since(mark))

    def wait_log(self, pattern, timeout=30.0, fleet=None, mark=0):
        """Waits until the log has a match for the regular expression, with the fleet's clients going on meanwhile."""
        if fleet:
            fleet.wait_until(lambda: self.logged(pattern, mark), timeout, f"the log to say {pattern!r}")
            return self.logged(pattern, mark)
        deadline = time.monotonic() + timeout
        while not self.logged(pattern, mark):
            if time.monotonic() > deadline:
                raise AssertionError(f"the log never said {pattern!r}:\n{self.tail()}")
            self.check_alive()
            time.sleep(0.01)
        return self.logged(pattern, mark)

    # the data

    def metadata(self):
        with open(os.path.join(self.data_dir, "session_metadata.json"), encoding="utf-8") as stream:
            return json.load(stream)

    def snapshots(self):
        folder = os.path.join(self.data_dir, "snapshots")
        return sorted(n for n in os.listdir(folder) if n.endswith(".snap")) if os.path.isdir(folder) else []

    # figures of the process, for bounds on what clients can make it hold

    def memory(self):
        """Bytes that the process holds for itself; pages of mapped files, which the kernel may take back, not counted."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as stream:
            return 1024 * int(re.search(r"RssAnon:\s+(\d+)", stream.read()).group(1))

    def allowance(self, size):
        """What the process may grow by where `size` is allowed; the sanitizers keep freed memory for a while."""
        with open(program(), "rb") as stream:
            return size * 3 + 500_000_000 if b"__asan_init" in stream.read() else size

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def close(self):
        """Ends the daemon and checks what it leaves: no process, no sanitizer report, no stray file."""
        try:
            if self.running:
                self.process.terminate()
                try:
                    self.process.wait(60)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
                    raise AssertionError(f"the server did not leave after SIGTERM:\n{self.tail()}") from None
            log = self.log() if os.path.exists(self.log_path) else ""
            report = SANITIZER_REPORT.search(log)
            assert not report, f"a sanitizer has complained:\n{log[report.start():report.start() + 6000]}"
            self._check_files()
        finally:
            if self.running:
                self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _check_files(self):
        stray = [name for name in os.listdir(self.work_dir)]
        assert not stray, f"the server left {stray} in its working folder"
        stray = [os.path.join(base, name) for base, _, names in os.walk(self.data_dir) for name in names
                 if re.search(r"(\.tmp|~|\.new|\.partial)$", name) or name.startswith((".tmp", "tmp"))]
        assert not stray, f"the server left temporary files: {stray}"


class ReferenceServer(Server):
    """Another server that speaks the protocol, started with the command line in E2E_REFERENCE: the tests marked
    `reference` hold for it as well, which shows that it is the test client that is right."""

    def __init__(self, command, **settings):
        self._command = command.split()
        settings = {k: v for k, v in settings.items() if k in ("timeout", "admin_password", "server_password")}
        self._timeout = settings.pop("timeout", 5000)
        super().__init__(**settings)

    def arguments(self):
        return [*self._command, "-p", str(self.ports[0]), "-t", str(self._timeout), "-apwd", self.admin_password,
                "-spwd", self.server_password]

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
