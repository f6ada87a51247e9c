# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted Debian: its systemd is PID 1 of namespaces of its own (see `boot`), and this process can join its network."""

import ctypes
import json
import os
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(AssertionError):
    """A command in the machine did not do what it should."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Commands:
    """What can be done on a system, by commands."""

    def command(self, arguments):
        """What to run here for these arguments to be run there."""
        raise NotImplementedError

    def try_run(self, *arguments, timeout=120):
        """Output without its last line break, whatever the status."""
        done = subprocess.run(self.command(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, check=False)
        self.status = done.returncode
        return done.stdout.decode("utf-8", "replace").rstrip("\n")

    def run(self, *arguments, timeout=120):
        output = self.try_run(*arguments, timeout=timeout)
        if self.status != 0:
            raise Failed(f"{' '.join(arguments)}: status {self.status}\n{output}")
        return output

    def write(self, path, text, mode=0o644):
        """Puts a file into the running machine."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        subprocess.run(self.command(["sh", "-c", script, "sh", path, oct(mode)[2:]]), input=text.encode(), check=True)

    def show(self, unit, name):
        return self.run("systemctl", "show", "--value", "--property", name, unit)

    def journal(self, *arguments):
        """Entries as dicts, oldest first."""
        output = self.try_run("journalctl", "--sync", "--no-pager")
        output = self.run("journalctl", "--no-pager", "-o", "json", "--all", *arguments)
        return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


class Here(Commands):
    """This very system."""

    root = "/"

    def command(self, arguments):
        return list(arguments)

    def enter_network(self):
        pass

    def off(self):
        pass


class Machine(Commands):
    def __init__(self, root, work, shared=""):
        pidfile = os.path.join(work, "machine.pid")
        state = os.path.join(work, "machine")
        with open(os.path.join(work, "machine.log"), "wb") as log:
            self._boot = subprocess.Popen([os.path.join(HERE, "boot"), root, state, pidfile, shared],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        self.state = os.path.join(state, "upper")
        wait_for(lambda: os.path.exists(pidfile) or self._boot.poll() is not None, "the machine's first process", 30)
        if self._boot.poll() is not None:
            with open(os.path.join(work, "machine.log"), encoding="utf-8") as log:
                raise Failed("the machine did not start: " + log.read())
        with open(pidfile, encoding="ascii") as stream:
            self.pid = int(stream.read())
        wait_for(lambda: self.try_run("systemctl", "is-system-running") in ("running", "degraded"), "the boot", 180)

    @property
    def root(self):
        """Its files, as seen from here."""
        return f"/proc/{self.pid}/root"

    def command(self, arguments):
        return ["nsenter", "--target", str(self.pid), "--all", "env", "-i", "-C", "/", "LANG=C.UTF-8",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", *arguments]

    def enter_network(self):
        """This thread, and those it makes from now on, use the machine's network. Before any other thread is made."""
        with open(f"/proc/{self.pid}/ns/net", "rb") as namespace:
            if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot enter the machine's network")

    def off(self):
        try:
            self.try_run("systemctl", "poweroff", timeout=30)
            self._boot.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        """As when the power goes."""
        self._boot.terminate()
        self._boot.wait()


def wait_for(predicate, what, timeout=30.0, pump=None):
    """The value of predicate once it is true. pump is called meanwhile, for clients to go on."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited {timeout:g} s in vain for {what}")
        if pump:
            pump(50)
        else:
            time.sleep(0.05)
