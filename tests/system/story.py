#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user and an administrator do with the package, from its installation to its purge, on a booted Debian.

    story.py SYSTEM ROOT WORK
    story.py --here STEP...

SYSTEM is "rpm" for the package of Fedora and EL, or a release of Debian. ROOT has the package and all it depends on in
/srv/repo; WORK is an empty folder. The steps build on each other and run in order; each is a case of TAP. With --here,
some of them are done on this very system, a Debian with the package.
"""

import gzip
import json
import os
import pickle
import random
import re
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from machine import Here, Machine, wait_for  # noqa: E402
from package import Debian, Fedora  # noqa: E402

import session as session_module  # noqa: E402
import values  # noqa: E402
import wire  # noqa: E402
from fleet import Fleet, assert_same_scene, server_info  # noqa: E402
from load import Load  # noqa: E402
from values import item, new_uuid  # noqa: E402

DATA = "/var/lib/scenekeep/default"


class Installed:
    """The part of the end-to-end tests' Server that clients need, for one session of the machine."""
    server_password = ""

    def __init__(self, port):
        self.address = "127.0.0.1", [port, port + 1, port + 2]


class Story:
    def __init__(self, machine, package):
        self.machine = machine
        self.package = package
        self.fleet = Fleet()
        self.random = random.Random(20261123)
        self.server = Installed(5555)
        self.session = None
        self.load = None

    # helpers

    def systemctl(self, *arguments):
        return self.machine.run("systemctl", *arguments)

    def status(self):
        return self.machine.show("scenekeep.service", "StatusText")

    def work(self, seconds=1.0):
        """The users edit for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.load.turn()
            self.fleet.pump(5)

    def begin_work(self, password_file):
        """An admin with that password initialises, two others join, and all edit for a while."""
        session_module.ADMIN_PASSWORD = self.machine.run("cat", password_file)
        nodes = [(new_uuid(self.random), [], {**item(f"thing {i}", self.random), "edits": {}}) for i in range(30)]
        self.session = session_module.Session(self.fleet, self.server, nodes)
        users = [self.session.admin, *self.session.join("bert", "carl")]
        self.load = Load(self.fleet, users, self.random, shared=self.session.uuids)
        self.work(2)
        self.everybody_is_there("after editing")

    def everybody_is_there(self, what):
        for user in self.session.users:
            assert user.state == "active" and not user.fatal, f"{what}: {user.describe()}"

    def nothing_is_lost(self):
        """Every edit that anybody has seen is in what a newcomer is handed, and all scenes can be made equal again."""
        newcomer = self.session.connect("newcomer " + new_uuid()[:6]).wait_state("active")
        missing = self.load.missing_from(newcomer.nodes)
        newcomer.disconnect()
        assert not missing, f"{len(missing)} lost: {missing[:5]}"
        # The server brings back what did not reach a user, behind what is new; until then its whole nodes are old news,
        # and sending them anew would undo what others have done.
        self.fleet.settle(*self.session.users)
        wait_for(lambda: not any(self.load.missing_from(user.nodes) for user in self.session.users),
                 "everybody to be brought up to date", 30, self.fleet.pump)
        self.send_anew()
        self.session.check_same()

    def main_pid(self):
        return int(self.machine.show("scenekeep.service", "MainPID"))

    def send_anew(self):
        """What was on its way to a process that ended is known to its sender alone, as with any server; whole nodes,
        as a user's next touch of an object may send them, and deleting once more what is still there, heal that."""
        for user in self.session.users:
            shared = self.load.shared if user is self.session.admin else []
            for node_uuid in self.load.own[user] + shared:
                if node_uuid in user.nodes:
                    user.push(node_uuid, user.nodes[node_uuid].data, user.nodes[node_uuid].dependencies)
            for node_uuid in self.load.deleted & user.nodes.keys():
                user.delete(node_uuid)

    # the steps

    def apt_installs(self):
        """apt installs the package and says where the admin password is"""
        output = self.package.install()
        file = self.package.password_file
        assert f"the admin password of the session is in {file}" in output, output
        assert self.machine.run("stat", "-c", "%a %U", file) == "600 root"
        assert re.fullmatch("[a-z2-9]{20}", self.machine.run("cat", file))
        assert self.machine.run("getent", "passwd", "scenekeep").split(":")[5] == "/var/lib/scenekeep"
        files = self.machine.run("dpkg", "-L", "scenekeep").split()
        for name in ("share/man/man1/scenekeepctl.1.gz", "share/man/man5/scenekeep.conf.5.gz", "share/man/man8/scenekeepd.8.gz",
                     "lib/firewalld/services/scenekeep.xml", "lib/sysusers.d/scenekeep.conf",
                     "share/bash-completion/completions/scenekeepctl"):
            assert "/usr/" + name in files, name
        assert "/etc/ufw/applications.d/scenekeep" in files

    def dnf_installs(self):
        """dnf installs the package: its files, its user, its units and what its scriptlets have done"""
        self.package.install()
        self.machine.run("rpm", "-V", "scenekeep")
        assert self.machine.run("getent", "passwd", "scenekeep").split(":")[5] == "/var/lib/scenekeep"
        files = self.machine.run("rpm", "-ql", "scenekeep").split()
        for page in ("man1/scenekeepctl.1", "man5/scenekeep.conf.5", "man8/scenekeepd.8"):
            assert f"/usr/share/man/{page}.gz" in files, page
        modes = self.machine.run("stat", "-c", "%a %U", "/etc/scenekeep", "/etc/scenekeep/scenekeep.conf")
        assert modes == "755 root\n644 root", modes
        assert self._helped() == ["install-system-units scenekeep.socket", "reload", "restart"]

    def _helped(self):
        """What the scriptlets of the RPM have asked systemd's helper since the last look."""
        asked = [line.strip() for line in self.machine.run("cat", "/var/log/systemd-update-helper").splitlines()]
        self.machine.write("/var/log/systemd-update-helper", "")
        return asked

    def only_the_sockets_are_up(self):
        """after installation systemd listens on the three ports and no server runs"""
        for unit in ("scenekeep.socket", "scenekeep-data.socket", "scenekeep-ttl.socket"):
            assert self.machine.show(unit, "ActiveState") == "active", unit
        assert self.systemctl("is-enabled", "scenekeep.socket") == "enabled"
        assert self.machine.show("scenekeep.service", "ActiveState") == "inactive"

    def first_connection_starts_it(self):
        """the first connection starts the server, and systemctl status shows its state"""
        info = server_info(self.server.address, 20)
        assert info, self.machine.try_run("journalctl", "-u", "scenekeep", "--no-pager")
        assert self.machine.show("scenekeep.service", "ActiveState") == "active"
        text = self.machine.try_run("systemctl", "status", "--no-pager", "scenekeep")
        assert re.search(r'Status: ".*0 users', text), text

    def users_work(self):
        """an admin with that password initialises, others join, and all edit"""
        self.begin_work(self.package.password_file)
        self.session.check_same()
        wait_for(lambda: re.search(r"^3 users, \d+ nodes", self.status()), "the status line", 15, self.fleet.pump)

    def wrong_password_is_no_admin(self):
        """nobody becomes an admin with another password"""
        stranger = self.session.connect("stranger", admin_password="guess")
        self.fleet.wait_until(lambda: stranger.answers, 10, "an answer")
        assert stranger.answers[-1].startswith("FAILED"), stranger.answers
        stranger.disconnect()

    def sandbox_holds_while_running(self):
        """the running service's exposure is at most 0.5, it has no network of its own and no capability"""
        text = self.machine.run("systemd-analyze", "security", "--no-pager", "--threshold=5", "scenekeep.service")
        print("# " + re.search(r"Overall exposure level.*?: [0-9.]+", text).group(0))
        pid = self.main_pid()
        status = self.machine.run("cat", f"/proc/{pid}/status")
        assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M), status
        devices = self.machine.run("cat", f"/proc/{pid}/net/dev").splitlines()[2:]
        assert [d.split(":")[0].strip() for d in devices] == ["lo"], devices
        assert self.machine.run("readlink", f"/proc/{pid}/ns/net") != self.machine.run("readlink", "/proc/1/ns/net")

    def journal_has_fields(self):
        """the journal has message ids and fields, and the catalog explains them"""
        entries = self.machine.journal("SCENEKEEP_USER=bert")
        assert any("MESSAGE_ID" in e and e.get("SCENEKEEP_INSTANCE") == "default" for e in entries), entries
        text = self.machine.run("journalctl", "--no-pager", "-x", "-u", "scenekeep")
        for subject in ("bert has logged in", "bert has joined the session", "The session default is being served"):
            assert f"Subject: {subject}\n" in text.replace("\u2591", "").replace(" \n", "\n"), f"{subject}:\n{text[-3000:]}"
        assert "Defined-By: scenekeep" in text
        known = self.machine.run("journalctl", "--list-catalog").splitlines()
        with open(os.path.join(HERE, "..", "..", "units", "scenekeep.catalog"), encoding="utf-8") as stream:
            ids = re.findall("^-- ([0-9a-f]{32})$", stream.read(), re.M)
        assert ids and set(ids) <= {line.split()[0] for line in known}, "the catalog lacks entries"
        password = session_module.ADMIN_PASSWORD
        assert password not in text, "the admin password is in the journal"

    def journal_queries_answer(self):
        """every query of README.md and scenekeepd(8) shows what it says"""
        top = os.path.join(HERE, "..", "..")
        texts = [open(os.path.join(top, path), encoding="utf-8").read() for path in ("README.md", "src/man/scenekeepd.8")]
        queries = [re.sub(r" +#.*", "", line).strip() for line in re.findall(r"^ *(journalctl .*)$", "\n".join(texts), re.M)]
        assert len(queries) > 8, queries
        # Somebody leaves and somebody is kicked, so that each has something to show; somebody was refused before.
        guest, victim = (self.session.connect(name).wait_state("active") for name in ("guest", "victim"))
        self.session.admin.kick("victim")
        self.fleet.wait_until(lambda: victim.state == "left", 20, "the kick")
        guest.disconnect()
        wait_for(lambda: any("user_disconnect:guest" in e["MESSAGE"] for e in self.machine.journal("-u", "scenekeep")),
                 "the guest to have left", 60, self.fleet.pump)
        shows = {"-o json": '"SCENEKEEP_REASON":"user_disconnect:guest"', " -f": "Session saved", "Failed to save": "No entries",
                 "Session saved": "reason: user_disconnect:guest", "joined|left": "guest has left",
                 "SCENEKEEP_USER": "anna has filled the session", "-p warning": "A login as stranger was refused"}
        self.machine.try_run("journalctl", "--sync")
        for query in queries:
            words = next(value for key, value in shows.items() if key in query)
            text = self.machine.try_run("timeout", "2", "sh", "-c", query)
            assert words in text, f"{query}:\n{text}"
        text = self.machine.run("journalctl", "--no-pager", "-x", "-u", "scenekeep")
        assert "Subject: victim was removed from the session" in text and "anna has removed the user" in text, text[-3000:]
        unfilled = re.findall(r"^\W*.*\bSCENEKEEP_[A-Z]+\b.*$", text, re.M)
        assert not unfilled, f"fields that are missing: {unfilled}"

    def reload_applies(self):
        """systemctl reload applies what it can and names what needs a restart"""
        self.machine.write("/etc/scenekeep/scenekeep.conf", 'max_users = 3;\nsegment_size = "32M";\n')
        self.systemctl("reload", "scenekeep")
        wait_for(lambda: any("segment_size" in e.get("SCENEKEEP_KEYS", "") for e in self.machine.journal("-u", "scenekeep")),
                 "the log to name segment_size", 15, self.fleet.pump)
        self.everybody_is_there("after the reload")
        fourth = self.session.connect("dora")
        self.fleet.wait_until(lambda: fourth.answers, 10, "an answer")
        assert fourth.answers[-1].startswith("FAILED"), "max_users was not applied"
        fourth.disconnect()
        self.machine.write("/etc/scenekeep/scenekeep.conf", "max_users = 3;\nprot = 1;\n")
        self.systemctl("reload", "scenekeep")
        wait_for(lambda: any("did you mean 'port'" in e["MESSAGE"] for e in self.machine.journal("-u", "scenekeep")),
                 "the mistake to be told", 15, self.fleet.pump)
        self.everybody_is_there("after a reload with a mistake")
        self.machine.write("/etc/scenekeep/scenekeep.conf", "# the defaults\n")
        self.systemctl("reload", "scenekeep")

    def restart_is_not_noticed(self):
        """systemctl restart with users at work: nobody is dropped, nothing is lost"""
        self._survives(lambda: self.systemctl("restart", "--no-block", "scenekeep"))

    def crash_is_not_noticed(self):
        """kill -9: systemd starts it again, nobody is dropped, nothing that anybody saw is lost"""
        self._survives(lambda: self.systemctl("kill", "--signal=KILL", "scenekeep"))
        assert int(self.machine.show("scenekeep.service", "NRestarts")) >= 1

    def _survives(self, act):
        before = self.main_pid()
        self.work(0.5)
        act()
        wait_for(lambda: self.main_pid() not in (0, before) and
                 self.machine.show("scenekeep.service", "ActiveState") == "active", "a new process", 30, self._keep_on)
        self.work(1)
        self.everybody_is_there("afterwards")
        self.nothing_is_lost()

    def _keep_on(self, milliseconds):
        self.load.turn()
        self.fleet.pump(milliseconds)

    def upgrade_is_not_noticed(self):
        """an upgrade of the package with users at work: nobody is dropped, nothing is lost"""
        self.work(0.5)
        before = self.main_pid()
        self.machine.run("scenekeepctl", "create", "beside", "--port", "5575")
        assert server_info(("127.0.0.1", [5575, 5576, 5577]), 20)
        beside = self.machine.show("scenekeep@beside.service", "MainPID")
        done = []
        thread = threading.Thread(target=lambda: done.append(self.package.upgrade()))
        thread.start()
        while thread.is_alive():
            self._keep_on(10)
        thread.join()
        assert self.package.is_upgraded(), done
        assert self.main_pid() not in (0, before), f"the server was not restarted:\n{done[0]}"
        now = self.machine.show("scenekeep@beside.service", "MainPID")
        assert now not in ("0", beside), f"a further session was not restarted:\n{done[0]}"
        self.machine.run("scenekeepctl", "remove", "beside", "--purge-data")
        self.work(1)
        self.everybody_is_there("after the upgrade")
        self.nothing_is_lost()

    def hang_is_caught(self):
        """a hung event loop is ended by the watchdog and the server starts again"""
        self.machine.write("/etc/systemd/system/scenekeep.service.d/watchdog.conf", "[Service]\nWatchdogSec=2s\n")
        self.systemctl("daemon-reload")
        self.systemctl("restart", "scenekeep")
        before = self.main_pid()
        self.work(1)
        self.machine.run("kill", "-STOP", str(before))
        wait_for(lambda: self.main_pid() not in (0, before), "the watchdog", 30, self._keep_on)
        self.machine.run("rm", "-r", "/etc/systemd/system/scenekeep.service.d")
        self.systemctl("daemon-reload")
        self.systemctl("restart", "scenekeep")
        self.work(1)
        self.everybody_is_there("after the hang")
        self.nothing_is_lost()

    def ctl_shows_the_session(self):
        """scenekeepctl sees the session through its socket"""
        status = json.loads(self.machine.run("scenekeepctl", "status", "--json"))
        assert status, status
        users = self.machine.run("scenekeepctl", "users")
        assert all(user.name in users for user in self.session.users), users

    def metrics_are_served(self):
        """figures of all sessions are had over HTTP: a socket of systemd, and a process for each answer"""
        self.systemctl("enable", "--now", "scenekeep-metrics.socket")
        url = "http://127.0.0.1:9555"
        for _ in range(3):
            with urllib.request.urlopen(url + "/metrics", timeout=20) as answer:
                assert answer.headers["Content-Type"].startswith("application/openmetrics-text"), answer.headers
                text = answer.read().decode()
            self._keep_on(5)
        users = re.search(r'^scenekeep_users\{session="default"\} (\d+)$', text, re.M)
        assert users and int(users.group(1)) >= 3 and text.endswith("# EOF\n"), text  # who just left may come back
        try:
            urllib.request.urlopen(url + "/etc/passwd", timeout=20)
            raise AssertionError("there is another page")
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
        wait_for(lambda: not self.machine.run("systemctl", "list-units", "--no-legend", "scenekeep-metrics@*"),
                 "the answering processes to end", 30, self._keep_on)

    def timers_do_their_work(self):
        """the timers are armed for the night, and fire; the backup is verified, scrub and drill find nothing wrong"""
        jobs = ("backup", "scrub", "drill")
        self.machine.write("/etc/scenekeep/default.backup", "DESTINATION=/srv/backup\n")
        self.systemctl("enable", "--now", *(f"scenekeep-{job}@default.timer" for job in jobs))
        listed = self.machine.run("systemctl", "list-timers", "--no-pager")
        assert all(f"scenekeep-{job}@default.timer" in listed for job in jobs), listed
        for job, calendar in zip(jobs, ("*-*-* 02:00:00", "Sun *-*-* 03:00:00", "*-*-01 04:00:00")):
            assert f"OnCalendar={calendar} " in self.machine.show(f"scenekeep-{job}@default.timer", "TimersCalendar"), job
            self.machine.write(f"/etc/systemd/system/scenekeep-{job}@default.timer.d/soon.conf",
                               "[Timer]\nOnCalendar=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=10ms\n")
        self.systemctl("daemon-reload")
        self.systemctl("restart", *(f"scenekeep-{job}@default.timer" for job in jobs))
        for job in jobs:
            unit = f"scenekeep-{job}@default.service"
            wait_for(lambda unit=unit: self.machine.show(unit, "ExecMainExitTimestampMonotonic") != "0",
                     f"{unit} to be run", 60, self._keep_on)
            assert self.machine.show(unit, "Result") == "success", self.machine.try_run("journalctl", "--no-pager", "-u", unit)
            self.machine.run("rm", "-r", f"/etc/systemd/system/scenekeep-{job}@default.timer.d")
        self.systemctl("daemon-reload")
        self.systemctl("restart", *(f"scenekeep-{job}@default.timer" for job in jobs))
        copies = self.machine.run("ls", "/srv/backup").split()
        assert len(copies) == 1, copies
        self.machine.run("scenekeepctl", "verify", "--data-dir", "/srv/backup/" + copies[0])

    def failure_is_told(self):
        """what is in on-failure.d is run with the name of a unit that has failed, be it a job or a session"""
        self.machine.write("/etc/scenekeep/on-failure.d/tell", '#!/bin/sh\necho "$1" >>/run/told\n', 0o755)
        self.machine.write("/etc/scenekeep/default.backup", "DESTINATION=/dev/null/nowhere\n")
        self.machine.try_run("systemctl", "start", "scenekeep-backup@default.service")
        assert self.machine.status != 0
        wait_for(lambda: "scenekeep-backup@default.service" in self.machine.try_run("cat", "/run/told"), "the hook", 20,
                 self._keep_on)
        self.machine.run("scenekeepctl", "create", "broken", "--port", "5595")
        self.machine.write("/etc/scenekeep/broken.conf", "prot = 1;\n")
        self.machine.try_run("systemctl", "start", "scenekeep@broken.service")
        assert self.machine.status != 0
        wait_for(lambda: "scenekeep@broken.service" in self.machine.run("cat", "/run/told"), "the hook", 20, self._keep_on)
        assert self.machine.show("scenekeep@broken.service", "NRestarts") == "0", "a mistake does not mend itself"
        self.machine.run("scenekeepctl", "remove", "broken", "--purge-data")
        self.machine.run("rm", "/etc/scenekeep/on-failure.d/tell", "/etc/scenekeep/default.backup")
        self.systemctl("reset-failed")

    def docker_folder_is_taken_over(self):
        """scenekeepctl migrate makes a docker set-up's folder a session that systemd serves"""
        nodes = values.scene(9, self.random)
        folder = self.machine.root + "/srv/docker"
        os.makedirs(folder + "/data/backups")
        with open(folder + "/.env", "w", encoding="ascii") as stream:
            stream.write("PORT=6000\nADMIN_PASSWORD=boss\nSERVER_PASSWORD='join me'\nSAVE_INTERVAL=90\n")
        with open(folder + "/data/backups/a.db", "wb") as stream:
            frames = [wire.node_frames(uuid, "anna", dependencies, data) for uuid, dependencies, data in nodes]
            stream.write(gzip.compress(pickle.dumps({"nodes": frames, "users": {}}, 4)))
        self.machine.run("scenekeepctl", "--instance", "docker", "migrate", "/srv/docker")
        self._open_ports("docker", 6000)
        client = self.fleet.client(Installed(6000).address, "eva", password="join me", admin_password="boss").connect()
        client.wait_state("active")
        assert set(client.nodes) == {uuid for uuid, _, _ in nodes}
        client.disconnect()
        self.systemctl("disable", "--now", "scenekeep@docker.socket")

    def _open_ports(self, name, port):
        for suffix, offset in (("", 0), ("-data", 1), ("-ttl", 2)):
            self.machine.write(f"/etc/systemd/system/scenekeep{suffix}@{name}.socket.d/ports.conf",
                               f"[Socket]\nListenStream={port + offset}\n")
        self.systemctl("daemon-reload")
        self.systemctl("enable", "--now", f"scenekeep@{name}.socket")

    def second_session(self):
        """a second session beside the first, made by one command, knows nothing of it"""
        self.machine.run("scenekeepctl", "create", "studio", "--port", "5565")
        self.machine.write("/etc/scenekeep/studio.conf", 'idle_exit = "3s";\n')
        studio = Installed(5565)
        assert server_info(studio.address, 20), self.machine.try_run("journalctl", "-u", "scenekeep@studio", "--no-pager")
        password = self.machine.run("cat", "/var/lib/scenekeep/studio/admin-password")
        other = self.fleet.client(studio.address, "anna", admin_password=password).connect()
        other.wait_state("lobby")
        other.disconnect()

    def idle_session_leaves(self):
        """a session with idle_exit leaves when nobody is there, and the next connection starts it again"""
        wait_for(lambda: self.machine.show("scenekeep@studio.service", "ActiveState") == "inactive", "the idle exit", 60,
                 self._keep_on)
        assert self.machine.show("scenekeep@studio.socket", "ActiveState") == "active"
        assert server_info(("127.0.0.1", [5565, 5566, 5567]), 20)
        self.machine.run("scenekeepctl", "remove", "studio")
        for unit in ("scenekeep@studio.service", "scenekeep@studio.socket", "scenekeep-ttl@studio.socket"):
            assert self.machine.show(unit, "ActiveState") == "inactive", unit
        assert self.machine.run("ls", "/var/lib/scenekeep/studio/log")
        self.machine.run("scenekeepctl", "remove", "studio", "--purge-data")  # what was removed before left its data
        assert "studio" not in self.machine.run("sh", "-c", "ls -R /etc/systemd/system /etc/scenekeep /var/lib/scenekeep")

    def many_sessions_cost_nothing(self):
        """a hundred further sessions are sockets of systemd and no process, and the last one answers"""
        before = self.machine.run("pgrep", "-c", "scenekeepd")
        begin = time.monotonic()
        ports = range(20000, 20300, 3)
        sockets = [f"scenekeep@s{port}.socket" for port in ports]
        # With --root, systemd is told once and not a hundred times.
        for port in ports:
            self.machine.run("scenekeepctl", "create", f"s{port}", "--port", str(port), "--root", "/")
            self._keep_on(5)
        self.systemctl("daemon-reload")
        self.systemctl("enable", "--now", *sockets)
        print(f"# a hundred sessions made in {time.monotonic() - begin:.1f} s")
        assert self.machine.run("pgrep", "-c", "scenekeepd") == before
        assert all(self.machine.show(unit, "ActiveState") == "active" for unit in sockets)
        assert server_info(("127.0.0.1", [20297, 20298, 20299]), 20)
        self.systemctl("disable", "--now", *sockets)
        for port in ports:
            self.machine.run("scenekeepctl", "remove", f"s{port}", "--purge-data", "--root", "/")
            self._keep_on(5)
        self.systemctl("daemon-reload")
        assert self.machine.run("pgrep", "-c", "scenekeepd") == before
        self.everybody_is_there("after a hundred sessions came and went")

    def stop_saves(self):
        """stopping the socket stops and saves the session, and starting it brings everything back"""
        for user in self.session.users:
            user.disconnect()
        self.systemctl("stop", "scenekeep.socket")
        assert self.machine.show("scenekeep.service", "ActiveState") == "inactive"
        assert self.machine.show("scenekeep.service", "Result") == "success"
        meta = json.loads(self.machine.run("cat", DATA + "/session_metadata.json"))
        assert meta["reason"] == "shutdown" and meta["node_count"] > 0, meta
        assert self.machine.show("scenekeep-data.socket", "ActiveState") == "inactive"
        self.systemctl("start", "scenekeep.socket")
        newcomer = self.session.connect("newcomer").wait_state("active")
        missing = self.load.missing_from(newcomer.nodes)
        newcomer.disconnect()
        assert not missing, missing[:5]

    def target_is_over_all(self):
        """stopping scenekeep.target stops and saves all sessions, starting it has all of them served again"""
        self.machine.run("scenekeepctl", "create", "studio", "--port", "5565")
        ports = 5555, 5565
        for port in ports:
            assert server_info(Installed(port).address, 20)
        for unit in ("scenekeep.service", "scenekeep@studio.service"):
            assert self.machine.show(unit, "Slice") == "scenekeep.slice", unit
        self.systemctl("start", "scenekeep.target")
        self.systemctl("stop", "scenekeep.target")
        # What the target takes along is not waited for by the command.
        wait_for(lambda: not self._active("scenekeep*.service") and not self._active("scenekeep.socket", "scenekeep@*.socket",
                                                                                   "scenekeep-data*", "scenekeep-ttl*"),
                 "all sessions to be stopped", 30, self.fleet.pump)
        for folder in (DATA, "/var/lib/scenekeep/studio"):
            assert json.loads(self.machine.run("cat", folder + "/session_metadata.json"))["reason"] == "shutdown", folder
        self.systemctl("start", "scenekeep.target")
        for port in ports:
            assert server_info(Installed(port).address, 20)
        self.machine.run("scenekeepctl", "remove", "studio", "--purge-data")

    def _active(self, *patterns):
        return self.machine.run("systemctl", "list-units", "--no-legend", "--plain", "--state=active,deactivating", *patterns)

    def listens_on_a_tunnel_only(self):
        """with what README.md says about WireGuard the sockets listen on the tunnel alone, be it there at the boot or not"""
        with open(os.path.join(HERE, "..", "..", "README.md"), encoding="utf-8") as stream:
            section = re.search(r"^\*\*WireGuard\*\*(.*?)^\*\*", stream.read(), re.M | re.S).group(1)
        lines = [line[4:].replace("sudo ", "") for line in section.splitlines() if line.startswith("    ")]
        lines = lines[next(i for i, line in enumerate(lines) if line.startswith("cd /etc/systemd")):]
        self.machine.run("sh", "-ec", "\n".join(lines))
        assert self.machine.show("scenekeep.socket", "ActiveState") == "active"
        self.machine.run("ip", "addr", "add", "10.66.0.1/24", "dev", "lo")
        tunnel = "10.66.0.1", self.server.address[1]
        assert server_info(tunnel, 20), self.machine.try_run("journalctl", "-n", "20", "--no-pager")
        assert not server_info(self.server.address, 1), "it listens elsewhere, too"
        self.machine.run("ip", "addr", "del", "10.66.0.1/24", "dev", "lo")
        self.machine.run("sh", "-ec", "rm /etc/systemd/system/scenekeep*.socket.d/tunnel.conf")
        self.machine.run("sh", "-ec", lines[-1])
        assert server_info(self.server.address, 20)

    def backup_is_gone_back_to(self):
        """a copy of the backup, put in the session's place, is the session as it was"""
        before = self.session.connect("zoe").wait_state("active")
        scene = before.scene()
        self.machine.write("/etc/scenekeep/default.backup", "DESTINATION=/srv/backup\n")
        self.systemctl("start", "scenekeep-backup@default")
        copy = "/srv/backup/" + max(self.machine.run("ls", "/srv/backup").split())
        before.delete(self.session.uuids[0])
        self.fleet.wait_until(lambda: self.session.uuids[0] not in before.nodes, 20, "the deletion")
        before.disconnect()
        self.systemctl("stop", "scenekeep.socket")
        self.machine.run("mv", DATA, DATA + ".old")
        self.machine.run("cp", "-a", copy, DATA)
        self.machine.run("chown", "-R", "scenekeep:scenekeep", DATA)
        self.systemctl("start", "scenekeep.socket")
        after = self.session.connect("yves").wait_state("active")
        assert_same_scene(after.scene(), scene, "the copy", "the session")
        after.disconnect()

    def big_session_stops_in_time(self):
        """a session of 2 GB is saved within the time that systemctl stop allows"""
        # It is the stop that is measured here, not how a slow disk and a busy machine take 2 GB in.
        user = self.session.connect("xena", timeout=120).wait_state("active")
        block = os.urandom(64 << 20)
        for i in range(32):
            user.push(new_uuid(self.random), {"type_id": "Image", "name": f"big {i}", "pixels": block + bytes([i])})
            self.fleet.wait_until(lambda: not user.unsent, 120, "the image to be sent")
        size = wait_for(lambda: self._size() > 2 << 30 and self._size(), "2 GB on disk", 240, self.fleet.pump)
        user.disconnect()
        begin = time.monotonic()
        self.systemctl("stop", "scenekeep.socket")
        seconds = time.monotonic() - begin
        assert self.machine.show("scenekeep.service", "Result") == "success"
        print(f"# {size >> 20} MiB, stopped in {seconds:.2f} s")
        assert seconds < 120
        self.systemctl("start", "scenekeep.socket")
        begin = time.monotonic()
        assert server_info(self.server.address, 60)
        print(f"# answers {time.monotonic() - begin:.2f} s after the first connection")

    def _size(self):
        return int(self.machine.run("du", "-sb", DATA).split()[0])

    def remove_keeps_data(self):
        """removing the package stops everything, further sessions too, and keeps the data"""
        self.machine.run("scenekeepctl", "create", "left", "--port", "5585")
        assert server_info(("127.0.0.1", [5585, 5586, 5587]), 20)
        self.package.remove()
        assert not server_info(self.server.address, 1)
        assert self.machine.run("ls", DATA + "/log")
        left = self.machine.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "scenekeep*.socket",
                                "scenekeep*.timer", "scenekeep*.service")
        assert not re.search(" active | failed ", left), left
        failed = self.machine.try_run("systemctl", "--failed", "--no-pager", "--plain", "--no-legend")
        assert "scenekeep" not in failed, failed

    def erased_package_told_systemd(self):
        """the scriptlets of the RPM had the socket disabled, and everything is found again by the next installation"""
        assert "remove-system-units scenekeep.socket" in self._helped()
        assert not self.machine.try_run("sh", "-c", "ls /etc/systemd/system/*.wants/scenekeep.socket 2>/dev/null")
        self.package.install()
        newcomer = self.session.connect("wanda").wait_state("active")
        assert not self.load.missing_from(newcomer.nodes)
        newcomer.disconnect()

    def purge_removes_everything(self):
        """purging asks nothing and leaves nothing but what the administrator has written"""
        self.machine.write("/etc/scenekeep/on-failure.d/mine", "#!/bin/sh\n")
        self.package.purge()
        left = self.machine.run("find", "/etc", "/var/lib", "/usr", "-path", "*scenekeep*", "-not", "-path",
                                "/var/lib/apt/lists/*").splitlines()
        assert left == ["/etc/scenekeep", "/etc/scenekeep/on-failure.d", "/etc/scenekeep/on-failure.d/mine"], left
        failed = self.machine.try_run("systemctl", "--failed", "--no-pager", "--plain", "--no-legend")
        assert "scenekeep" not in failed, failed


DEBIAN_STEPS = ["apt_installs", "only_the_sockets_are_up", "first_connection_starts_it", "users_work",
                "wrong_password_is_no_admin", "sandbox_holds_while_running", "journal_has_fields", "journal_queries_answer", "reload_applies",
                "restart_is_not_noticed", "crash_is_not_noticed", "upgrade_is_not_noticed", "hang_is_caught",
                "ctl_shows_the_session", "metrics_are_served", "timers_do_their_work", "failure_is_told", "second_session",
                "idle_session_leaves", "docker_folder_is_taken_over", "many_sessions_cost_nothing", "stop_saves",
                "target_is_over_all", "listens_on_a_tunnel_only", "backup_is_gone_back_to", "big_session_stops_in_time",
                "remove_keeps_data", "purge_removes_everything"]
# What the two packages do differently, and what depends on it.
RPM_STEPS = ["dnf_installs", "only_the_sockets_are_up", "first_connection_starts_it", "users_work",
             "sandbox_holds_while_running", "journal_has_fields", "restart_is_not_noticed", "upgrade_is_not_noticed",
             "metrics_are_served", "timers_do_their_work", "failure_is_told", "second_session", "idle_session_leaves",
             "stop_saves", "remove_keeps_data", "erased_package_told_systemd"]


def tell(lines):
    print("\n".join("# " + line for line in lines.splitlines()))


def run(story, steps):
    """Runs the steps in order up to one that fails; whether all went well."""
    print(f"1..{len(steps)}")
    good = True
    for number, name in enumerate(steps, 1):
        step = getattr(story, name)
        if not good:
            print(f"not ok {number} - {step.__doc__} (not reached)")
            continue
        begin = time.monotonic()
        try:
            step()
            print(f"# {time.monotonic() - begin:.1f} s")
            print(f"ok {number} - {step.__doc__}", flush=True)
        except Exception:  # pylint: disable=broad-except
            good = False
            tell(traceback.format_exc())
            tell(story.machine.try_run("journalctl", "--no-pager", "-n", "60", "-u", "scenekeep*"))
            print(f"not ok {number} - {step.__doc__}", flush=True)
    return good


def main():
    if sys.argv[1] == "--here":
        machine, package, steps = Here(), Debian, sys.argv[2:]
    else:
        is_rpm = sys.argv[1] == "rpm"
        machine = Machine(*sys.argv[2:4])
        package, steps = (Fedora, RPM_STEPS) if is_rpm else (Debian, DEBIAN_STEPS)
    try:
        machine.enter_network()
        story = Story(machine, package(machine))
        good = run(story, steps)
        story.fleet.close()
    finally:
        machine.off()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
