#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration: file, environment, command line; refusing what is wrong; changing it while users are connected."""

import os
import re
import signal
import subprocess
import sys

import tap  # first: it says which packages are missing
import pytest

from fleet import server_info
from server import ADMIN_PASSWORD, FOREIGN_ENVIRONMENT, Server, free_ports, program


class Configured(Server):
    """A daemon that takes everything from a file, the environment, or arguments of the test's own."""

    def __init__(self, text=None, environment=None, options=(), data_dir=True):
        self._text = text
        self._options = list(options)
        self._with_data_dir = data_dir
        super().__init__(start=False, environment=environment)
        self.config_path = os.path.join(self.folder, "scenekeep.conf")
        if text is not None:
            self.write(text)

    def write(self, text):
        with open(self.config_path, "w", encoding="utf-8") as stream:
            stream.write(text.replace("@PORT@", str(self.ports[0])).replace("@DATA@", self.data_dir))

    def arguments(self):
        out = [program(), "--listen", "127.0.0.1"]
        if self._text is not None:
            out += ["--config", self.config_path]
        if self._with_data_dir:
            out += ["--data-dir", self.data_dir]
        return out + [o.replace("@PORT@", str(self.ports[0])).replace("@DATA@", self.data_dir) for o in self._options]

    def run(self, *more):
        """Runs it to its end; returns status and output."""
        environment = {k: v for k, v in os.environ.items() if k not in FOREIGN_ENVIRONMENT}
        done = subprocess.run(self.arguments() + list(more), cwd=self.work_dir, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
                              env={**environment, **self.environment})
        return done.returncode, done.stdout.decode("utf-8", "replace")


@pytest.fixture
def configured(fleet):
    made = []

    def make(*args, start=True, **options):
        server = Configured(*args, **options)
        made.append(server)
        if start:
            server.start()
        return server
    yield make
    fleet.close()
    for server in made:
        server.close()


def login(fleet, server, name="anna", **options):
    client = fleet.client(server.address, name, **options).connect()
    client.wait_until(lambda: client.answers)
    return client.answers[0]


def test_from_a_file(configured, fleet):
    server = configured('port = @PORT@;\nadmin_password = "a";\nserver_password = "s";\nsave_interval = "77s";\n')
    assert server.logged(r"Auto-save enabled \(interval: 77s\)")
    assert login(fleet, server, password="s", admin_password="a") == "LOBBY"
    assert "FAILED" in login(fleet, server, "bert", password="")


def test_from_the_old_environment(configured, fleet):
    ports = free_ports()
    server = configured(start=False, environment={
        "PORT": str(ports[0]), "ADMIN_PASSWORD": "a", "SERVER_PASSWORD": "s", "LOG_LEVEL": "INFO", "TIMEOUT": "5000",
        "SAVE_INTERVAL": "66", "MAX_BACKUPS": "3"}, data_dir=False)
    server.environment["DATA_DIR"] = server.data_dir
    server.ports = ports
    server.start()
    assert server.logged(r"Auto-save enabled \(interval: 66s\)")
    assert login(fleet, server, password="s", admin_password="a") == "LOBBY"
    assert os.listdir(server.data_dir)


def test_old_command_line(configured, fleet):
    server = configured(options=["-p", "@PORT@", "-apwd", "a", "-spwd", "s", "-t", "5000", "-l", "INFO"])
    assert login(fleet, server, password="s", admin_password="a") == "LOBBY"


def test_passwords_do_not_stay_in_the_list_of_processes(configured):
    server = configured(options=["-p", "@PORT@", "-apwd", "very-secret-a", "-spwd", "very-secret-s"])
    with open(f"/proc/{server.process.pid}/cmdline", "rb") as stream:
        line = stream.read()
    assert b"very-secret" not in line
    assert "very-secret" not in server.log()


def test_precedence(configured, fleet):
    server = configured('port = @PORT@;\nserver_password = "file";\nadmin_password = "file";\nsave_interval = 11;\n',
                        environment={"SERVER_PASSWORD": "environment", "ADMIN_PASSWORD": "environment"},
                        options=["--admin-password", "option"])
    assert login(fleet, server, password="environment", admin_password="option") == "LOBBY"
    assert server.logged(r"Auto-save enabled \(interval: 11s\)")


WRONG = {
    "unknown key": ('port = 5555;\nsave_intervall = 5;\n', 2, "save_interval"),
    "wrong type": ('port = "many";\n', 1, "number"),
    "out of range": ('\n\nport = 70000;\n', 3, "65533"),
    "wrong duration": ('timeout = "soon";\n', 1, "duration"),
    "wrong size": ('segment_size = "big";\n', 1, "size"),
    "wrong choice": ('sync = "sometimes";\n', 1, "always"),
    "syntax": ('port = 5555;\nadmin_password = "x;\n', 2, ""),
    "a list where a text belongs": ('listen = [1, 2];\n', 1, ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused_with_the_line(configured, name):
    text, line, hint = WRONG[name]
    server = configured(text, start=False)
    for more in ((), ("--check-config",)):
        status, output = server.run(*more)
        assert status not in (0, -6, -11), output
        assert re.search(rf"{re.escape(server.config_path)}:{line}:", output), output
        assert hint in output
    assert not os.path.exists(server.data_dir) or not os.listdir(server.data_dir), "something was done all the same"


def test_all_mistakes_are_told_at_once(configured):
    server = configured('port = 0;\ntimeout = "soon";\nfoo = 1;\n', start=False)
    status, output = server.run("--check-config")
    assert status != 0
    for line in (1, 2, 3):
        assert f":{line}:" in output, output


@pytest.mark.parametrize("options", [["--port", "70000"], ["--frobnicate"], ["--set", "foo=1"], ["--set", "port"],
                                     ["--port"], ["-t", "soon"], ["--config", "/nonexistent/scenekeep.conf"]])
def test_wrong_options_are_refused(configured, options):
    server = configured(options=options, start=False)
    status, output = server.run()
    assert status not in (0, -6, -11), output
    assert len(output.strip()) > 10


def test_check_config_accepts_and_does_nothing(configured):
    server = configured('port = @PORT@;\nsave_interval = "5min";\nadmin_password = "hidden";\n', start=False)
    status, output = server.run("--check-config")
    assert status == 0, output
    assert "hidden" not in output
    assert not os.path.exists(server.data_dir) or not os.listdir(server.data_dir)


def source(name):
    top = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(__file__), "..", "..")
    with open(os.path.join(top, name), encoding="utf-8") as stream:
        return stream.read()


def test_shipped_file_is_right(configured):
    status, output = configured(source("etc/scenekeep.conf"), start=False).run("--check-config")
    assert status == 0, output


def test_help_and_version(configured):
    server = configured(start=False)
    assert server.run("--help")[0] == 0
    status, output = server.run("--version")
    assert status == 0 and re.search(r"\d+\.\d+", output)


def test_manual_has_every_option_and_no_other(configured):
    text = source("src/man/scenekeepd.8").split(".Sh OPTIONS")[1].split(".Sh ENVIRONMENT")[0]
    described = {(f"{short} {long}".strip(), argument.replace("Ar ", "").replace(" Ns = Ns ", "=").strip())
                 for short, long, argument in re.findall(r"^\.It Fl (?:(\w+) , Fl )?(-[a-z-]+)(.*)$", text, re.M)}
    status, output = configured(start=False).run("--help")
    shown = {(f"{short} {long}".strip(), argument) for short, long, argument in re.findall(
        r"^  (?:-(\w+), )?-(-[a-z-]+) ?([A-Z=]*)  ", output, re.M)}
    assert status == 0 and len(shown) > 12 and described == shown


def test_manual_has_every_variable_and_no_other():
    text = source("src/man/scenekeepd.8").split(".Sh ENVIRONMENT")[1].split(".Sh UNITS")[0].split(".Sh SIGNALS")[0]
    known = set(re.findall(r'^ +\{"([A-Z_]+)", "', source("src/daemon/config.c"), re.M))
    described = set(re.findall(r"[A-Z_]{3,}", " ".join(re.findall(r"^\.It Ev (.*)$", text, re.M))))
    of_systemd = {"STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET",
                  "WATCHDOG_USEC", "JOURNAL_STREAM"}
    assert len(known) == 8 and described == known | of_systemd


def test_reload_applies_what_it_can(configured, fleet):
    server = configured('port = @PORT@;\nadmin_password = "a";\nserver_password = "old";\nsave_interval = "1h";\n')
    anna = fleet.client(server.address, "anna", password="old", admin_password="a").connect().wait_state("lobby")
    server.write('port = @PORT@;\nadmin_password = "a";\nserver_password = "new";\nsave_interval = "1h";\n'
                 'accepted_versions = ["0.9.10", "0.9.11"];\n')
    mark = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("server_password", mark=mark, fleet=fleet)
    assert "FAILED" in login(fleet, server, "bert", password="old")
    assert login(fleet, server, "carl", password="new", version="0.9.11") == "LOBBY"
    assert anna.state == "lobby", "a reload drops nobody"
    assert '"new"' not in server.log()


def test_reload_opens_the_log_file_anew(configured, fleet):
    """As whoever rotates it expects, and another one if that is wanted."""
    server = configured('port = @PORT@;\nlog_file = "@DATA@.log";\n')
    first, moved, second = (server.data_dir + end for end in (".log", ".log.1", ".other"))

    def text(path):
        with open(path, encoding="utf-8") as stream:
            return stream.read()

    def reload_and_save():
        for number, pattern in (signal.SIGHUP, "reloaded"), (signal.SIGUSR1, r"Session saved to disk \(reason: manual\)"):
            mark = server.mark()
            server.send_signal(number)
            server.wait_log(pattern, mark=mark, fleet=fleet)
    os.rename(first, moved)
    reload_and_save()
    assert "Session saved" in text(first) and "Session saved" not in text(moved)
    server.write('port = @PORT@;\nlog_file = "@DATA@.other";\n')
    before = text(first)
    reload_and_save()
    assert "Session saved" in text(second) and text(first) == before
    server.write('port = @PORT@;\nlog_file = "/nonexistent/log";\n')
    reload_and_save()
    assert server.logged("Cannot write to the log file /nonexistent/log")
    server.write("port = @PORT@;\n")
    reload_and_save()
    before = text(second)
    reload_and_save()
    assert text(second) == before, "still written to"


def test_reload_says_what_needs_a_restart(configured, fleet):
    server = configured('port = @PORT@;\nadmin_password = "a";\nsync = "interval";\n')
    server.write('port = 1234;\nadmin_password = "a";\nsync = "always";\n')
    mark = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("restart", mark=mark, fleet=fleet)
    line = [x for x in server.log_since(mark).splitlines() if "restart" in x][0]
    assert "port" in line and "sync" in line
    assert server_info(server.address)


def test_reload_without_the_admin_password_says_so(configured, fleet):
    server = configured('port = @PORT@;\nadmin_password = "a";\n')
    server.write("port = @PORT@;\n")
    mark = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("admin_password is no longer set", mark=mark, fleet=fleet)
    assert login(fleet, server, admin_password="a") == "LOBBY"


def test_reload_of_a_broken_file_changes_nothing(configured, fleet):
    server = configured('port = @PORT@;\nadmin_password = "a";\nserver_password = "s";\n')
    server.write('port = @PORT@;\nserver_password = "other";\nfoo = 1;\n')
    mark = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log(rf"{re.escape(server.config_path)}:3:", mark=mark, fleet=fleet)
    assert login(fleet, server, password="s", admin_password="a") == "LOBBY"


@pytest.mark.parametrize("wrong", ['allow = [ "studio" ];', "segment_size = 10000000000;"])
def test_reload_of_a_wrong_value_changes_nothing(configured, fleet, wrong):
    server = configured('port = @PORT@;\nserver_password = "one";')
    server.write('port = @PORT@;\nserver_password = "two";\n' + wrong)
    mark = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log(rf"not reloaded.*{re.escape(server.config_path)}:3: ", mark=mark, fleet=fleet)
    assert login(fleet, server, password="one") == "LOBBY"


def test_reload_of_what_cannot_be_read_changes_nothing(configured, fleet):
    server = configured('port = @PORT@;\nadmin_password = "a";\n')
    os.unlink(server.config_path)
    os.mkdir(server.config_path)
    mark = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("not reloaded.*cannot be read", mark=mark, fleet=fleet)
    assert login(fleet, server, admin_password="a") == "LOBBY"


def test_generated_admin_password(configured, fleet):
    """Printed once, kept for the owner of the data alone."""
    server = configured(options=["-p", "@PORT@"])
    path = os.path.join(server.data_dir, "admin-password")
    with open(path, encoding="ascii") as stream:
        password = stream.read().strip()
    assert len(password) >= 16
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert password in server.log()
    assert "FAILED" in login(fleet, server, admin_password="")
    assert "FAILED" in login(fleet, server, admin_password=ADMIN_PASSWORD)
    assert login(fleet, server, admin_password=password) == "LOBBY"
    mark = server.mark()
    server.restart()
    assert password not in server.log_since(mark)
    with open(path, encoding="ascii") as stream:
        assert stream.read().strip() == password


def test_port_in_use(configured):
    first = configured(options=["-p", "@PORT@"])
    second = configured(options=["-p", str(first.ports[0])], start=False)
    status, output = second.run()
    assert status not in (0, -6, -11)
    assert str(first.ports[0]) in output and "in use" in output, output


def test_data_folder_in_one_that_is_not_there(configured):
    server = configured(start=False, data_dir=False, options=["--port", "@PORT@", "--data-dir", "@DATA@/a/b"])
    status, text = server.run()
    assert status == 1 and "The folder above it must be there" in text


def test_data_folder_in_use(configured):
    """Two daemons can never open one store."""
    first = configured(options=["-p", "@PORT@"])
    second = configured(options=["-p", "@PORT@"], start=False)
    second.data_dir = first.data_dir
    status, output = second.run()
    assert status not in (0, -6, -11)
    assert first.data_dir in output, output
    assert server_info(first.address)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_data_folder_that_cannot_be_written(configured):
    server = configured(options=["-p", "@PORT@"], start=False)
    os.mkdir(server.data_dir, 0o555)
    status, output = server.run()
    assert status not in (0, -6, -11)
    assert server.data_dir in output


if __name__ == "__main__":
    sys.exit(tap.main(__file__, sys.argv[1:]))
