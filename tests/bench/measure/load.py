# SPDX-License-Identifier: GPL-3.0-or-later
"""The load generator, driven phase by phase."""

import json
import os
import shlex
import signal
import subprocess

from .server import ADMIN, Failed


class Load:
    """A running bench-load whose clients are in the session. Names are options of bench-load, with _ for -."""

    def __init__(self, program, server, wait=True, **options):
        self.server = server
        words = [program, "--port", str(server.port), "--phases"]
        words += ["--raw"] if server.raw else ["--admin-password", ADMIN]
        for key, value in options.items():
            option = "--" + key.replace("_", "-")
            if value is not False:
                words += [option] if value is True else [option, str(value)]
        self.words = words
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if wait:
            self.wait_ready()

    def _line(self, expected=None):
        line = self.process.stdout.readline().strip()
        if not line or (expected and line != expected):
            raise Failed(f"{self.server.subject.name}: {shlex.join(self.words)} failed "
                         f"(server: {self.server.process.poll() or 'running'}):\n{self.server.log()[-2000:]}")
        return line

    def wait_ready(self):
        self._line("ready")

    def begin(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def wait_end(self):
        self._line("end")

    def result(self):
        return json.loads(self._line())

    def phase(self):
        """One run, with what the server has used: `cpu` in seconds and `written` in bytes are those until its end, not
        of what still had to arrive; `written_in_all` is."""
        before = self.server.usage()
        self.begin()
        self.wait_end()
        used = self.server.usage() - before
        result = self.result()
        result["cpu"], result["written"] = used.cpu, used.written
        result["written_in_all"] = (self.server.usage() - before).written
        return result

    def stop(self):
        """As a computer that hangs: nothing is read any more."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                os.kill(self.process.pid, signal.SIGCONT)
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
