# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything at once, for as long as one likes: users who edit, lock, chat, come, go and crash, lines that break, stall and
are slow, a server that is asked to leave and killed. Now and then, and at the end, all scenes must be the same.

The server is restarted in the first half only: in the second half, once it has run for a while, its memory is measured,
which must not grow. That takes four minutes: before, what a server takes once is not to be told from growth.
"""

import re
import signal
import time

from client import Timeout
from load import Load
from proxy import Proxy
from server import Server
from session import Session
from values import item, mesh, scene
from wire import COMMON

RATE = 5            # edits a second of each user
USERS = (4, 8)      # as many are there, besides the admin
NODES_MAX = 80
GRACE = 10           # seconds that the server keeps the name of somebody whose connection is gone
STALLS = (0.3, 8.0)
TURNS = 1000        # a second: in each a stock client handles a command and an update, and no more
CHECK_INTERVAL = 60.0
WARM_UP = 60.0      # until a server that was started has taken what it keeps: arenas, tables, what a sanitizer holds back
QUIET = 8.0         # in which lines are found again, and what waits on the slow ones has passed
MIB = 1 << 20

SETTINGS = {
    "reconnect_grace": f"{GRACE}s", "max_client_backlog": "4M", "backlog_timeout": "5s", "save_interval": "7s",
    "segment_size": "4M", "max_backups": 3, "keep_hourly": 0, "keep_daily": 0, "keep_weekly": 0, "journal_keep": "1min",
    "journal_keep_size": "32M",
}
# Freed memory is kept back for a while by a sanitizer, which is not to be taken for growth.
ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=16"}

LINES = {"near": None, "distant": {"delay": 0.15}, "slow": {"bandwidth": 250_000}, "flaky": {}}


def slope(samples):
    """Of a straight line through (x, y) by least squares, and the mean of y."""
    n = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / n, sum(y for _, y in samples) / n
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return (sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0), mean_y


def faults(user):
    """Of a client. What was under way in a join when a connection was taken for lost is sent again, and left aside with a
    word in the log, which is forgotten here."""
    user.errors = [e for e in user.errors if "was asked for" not in e]
    return user.fatal + user.errors


class Soak:
    def __init__(self, fleet, rng, seconds, say=print, lines=tuple(LINES)):
        self.kinds_of_lines = list(lines)
        self.fleet, self.rng, self.seconds, self.say = fleet, rng, seconds, say
        self.server = Server(environment=ENVIRONMENT, timeout="10s", **SETTINGS)
        try:
            self.session = Session(fleet, self.server, scene(12, rng), timeout=12.0)
            self.load = Load(fleet, [], rng, shared=self.session.uuids[1::2])
            self.load.welcome(self.session.admin)
        except BaseException:
            self.server.close()
            raise
        self.lines = {}      # user -> its Proxy
        self.kinds = {}      # user -> key of LINES
        self.stalled = {}    # user -> when it goes on
        self.ghosts = []     # (name, when it may be used again, the crashed client)
        self.since_restart = {}  # a user who has not been active since its login -> whether there was a restart
        self.number = 0
        self.events = {}
        self.memory = []
        self.started = self.pumped = self.restarted = time.monotonic()
        self.done = 0

    # the users

    @property
    def age(self):
        return time.monotonic() - self.started

    @property
    def guests(self):
        return [u for u in self.load.users if u is not self.session.admin]

    def active(self):
        return [u for u in self.load.users if u.state == "active"]

    def count(self, event):
        self.events[event] = self.events.get(event, 0) + 1

    def join(self, name=None):
        self.number += 1
        kind = self.rng.choice(self.kinds_of_lines)
        address = self.server.address
        line = None
        if LINES[kind] is not None:
            line = Proxy(self.server.ports, **LINES[kind])
            host, ports = line.address
            # The heartbeat has a line of its own, as it has a queue of its own in any router.
            address = host, [*ports[:2], self.server.ports[2]]
        user = self.fleet.client(address, name or f"{kind} {self.number}", timeout=12.0).connect()
        self.kinds[user] = kind
        if line:
            self.lines[user] = line
        self.since_restart[user] = False
        self.load.welcome(user)
        self.count("joins")
        return user

    def part(self, user):
        self.load.part(user)
        self.stalled.pop(user, None)
        self.since_restart.pop(user, None)
        line = self.lines.pop(user, None)
        if line:
            line.close()
        if user in self.fleet.clients:
            self.fleet.clients.remove(user)
        assert not faults(user), user.describe()

    def leave(self):
        user = self.rng.choice(self.guests)
        user.disconnect()
        self.part(user)
        self.count("leaves")

    def crash(self):
        user = self.rng.choice(self.guests)
        user.crash()
        self.part(user)
        self.ghosts.append((user.name, time.monotonic() + 2 * GRACE + 12, user))
        self.count("crashes")

    def back_from_the_dead(self):
        name, _, ghost = self.ghosts.pop(0)
        ghost.close()
        self.join(name)

    # the lines

    def cut(self):
        lines = [u for u in self.lines if self.kinds[u] == "flaky"]
        if lines:
            self.lines[self.rng.choice(lines)].cut()
            self.count("cuts")

    def stall(self):
        """Blender is busy: what comes is taken by the machine, and nobody looks at it."""
        users = [u for u in self.guests if u not in self.stalled and u.state == "active"]
        if users:
            user = self.rng.choice(users)
            user.paused = True
            self.stalled[user] = time.monotonic() + self.rng.uniform(*STALLS)
            self.count("stalls")

    def resume(self, all_of_them=False):
        for user, until in list(self.stalled.items()):
            if all_of_them or until <= time.monotonic():
                del self.stalled[user]
                user.paused = False

    # the server

    def disk_is_behind(self):
        """While the disk hangs everybody goes on, as the server says, and what it has not taken would go with the process."""
        states = re.findall(r"The disk (is slow to take|refuses to take|has caught up|takes updates again)", self.server.log())
        return bool(states) and states[-1].endswith("to take")

    def restart(self):
        number = self.rng.choice([signal.SIGTERM, signal.SIGKILL])
        if number == signal.SIGKILL and self.disk_is_behind():
            number = signal.SIGTERM
            self.count("KILL spared while the disk was slow")
        self.count("TERM" if number == signal.SIGTERM else "KILL")
        self.server.guarded = False
        self.server.send_signal(number)
        deadline = time.monotonic() + 30
        while self.server.running:
            assert time.monotonic() < deadline, "the server does not leave"
            self.work(0.02)
        assert number == signal.SIGKILL or self.server.process.returncode == 0, self.server.tail()
        for user in self.since_restart:
            self.since_restart[user] = True
        self.server.start(wait=False)
        self.restarted = time.monotonic()

    def save(self):
        self.server.send_signal(signal.SIGUSR1)
        self.count("saves")

    # the work

    def one_thing(self, user):
        own = [u for u in self.load.own[user] if u in user.nodes]
        # When both a node and its Delete go into a connection that breaks, only its author has it, for ever.
        arrived = [u for u in own if u in self.load.added]
        choice = self.rng.random()
        n_nodes = len(user.nodes)
        if choice < 0.03 and n_nodes < NODES_MAX:
            self.load.add(user, self.rng.choice([None, {**mesh("big", self.rng, self.rng.choice([500, 20_000])),
                                                        "edits": {user.name: 0}}]))
        elif (choice < 0.05 or n_nodes >= NODES_MAX) and arrived:
            self.load.delete(user, self.rng.choice(arrived))
        elif choice < 0.08:
            lock = self.rng.choice(self.load.shared)
            if lock in user.nodes and user.nodes[lock].owner == user.name:
                user.unlock(lock)
            elif lock in user.nodes and user.nodes[lock].owner == COMMON and self.rng.random() < 0.3:
                user.lock(lock)
        elif choice < 0.2:
            user.metadata(view_matrix=[self.rng.random() for _ in range(16)])
        else:
            places = own + [u for u in self.load.shared if u in user.nodes and
                            user.nodes[u].owner in (COMMON, user.name)]
            self.load.edit(user, self.rng.choice(places)) if places else self.load.add(user)

    def work(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            due = int(self.age * RATE)
            if due - self.done > 2 * RATE:  # the machine was busy elsewhere
                self.done = due - RATE
            while self.done < due:
                for user in self.active():
                    if not user.paused:
                        self.one_thing(user)
                self.done += 1
            self.pump(5)
            self.look()

    def pump(self, milliseconds):
        """As long as this process was kept from running, the clients, which are processes of their own, were not."""
        now = time.monotonic()
        turns = max(1, int(min(now - self.pumped, 1.0) * TURNS))
        self.pumped = now
        for user in self.load.users:
            user.budget = turns
        self.fleet.pump(milliseconds)

    def story(self, user):
        """What the server has logged about a user, and its starts."""
        wanted = re.compile(rf"\b{user.name}\b|Serving session|session is stopped")
        return "\n".join(line for line in self.server.log().splitlines() if wanted.search(line))

    def warnings(self):
        """What it has logged of its disk, and of anything else that an operator should look at, with its starts."""
        wanted = re.compile(r" (WARNING|ERROR|CRITICAL) |The disk |Serving session|session is stopped")
        return "\n".join(line for line in self.server.log().splitlines() if wanted.search(line))

    def work_nothing(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pump(20)

    def look(self):
        """Nobody may be thrown out who has not done anything to deserve it."""
        self.resume()
        for user in list(self.load.users):
            assert not faults(user), user.describe()
            if user.state == "active":
                self.since_restart.pop(user, None)
            if user.state != "left":
                continue
            slow = type(user.reason) is dict and "too slow" in user.reason.get("reason", "")
            # What it was told may have been lost with the server that told it.
            slow = slow or self.server.logged(f"{user.name} has left: your connection is too slow")
            interrupted = self.since_restart.get(user) and user.reason != "Server lost"
            assert slow or interrupted, f"thrown out: {user.describe()}\n{self.story(user)}"
            self.count("dropped as too slow" if slow else "turned away in a join")
            user.close()
            self.part(user)
        while len(self.guests) < USERS[0]:
            self.join()

    def event(self):
        choices = {self.leave: 2, self.crash: 1, self.cut: 2, self.stall: 2, self.save: 0.3}
        if len(self.guests) < USERS[1]:
            choices[self.join] = 4
        if self.age < self.seconds / 2:
            choices[self.restart] = 1
        self.rng.choices(list(choices), choices.values())[0]()

    def sample(self):
        if self.age >= self.seconds / 2 and time.monotonic() - self.restarted >= WARM_UP:
            self.memory.append((self.age, self.server.memory()))

    # the judgement

    def check(self):
        """All scenes are the same. What was on its way into a connection that broke is lost to any server, so everything
        is said once more before."""
        self.resume(all_of_them=True)
        # Whoever has not noticed yet that a connection has ended would say it into that.
        self.work_nothing(QUIET)
        users = self.load.users
        self.fleet.wait_until(lambda: all(u.state in ("active", "left") for u in users), 120, "all to have joined")
        self.look_once()
        # Whoever pushed an older copy now would take the edit back.
        try:
            self.fleet.wait_until(lambda: not self.load.overtaken(), 60, "everybody to have their own edits")
        except Timeout as error:
            raise Timeout("\n".join([str(error), *map(self.describe_edit, self.load.overtaken())])) from None
        for user in self.active():
            for node_uuid in self.load.own[user]:
                if node_uuid in user.nodes:
                    user.push(node_uuid, user.nodes[node_uuid].data, user.nodes[node_uuid].dependencies)
            for node_uuid in self.load.shared:
                if user.nodes[node_uuid].owner in (COMMON, user.name):
                    self.load.edit(user, node_uuid)
        self.compare()
        missing = self.load.missing_from(self.session.admin.nodes)
        assert not missing, f"{len(missing)} lost: {missing[:10]}"
        self.count("comparisons")

    def compare(self):
        """Once more with those who are left, when somebody was dropped as too slow meanwhile."""
        compared = self.active()
        for user in compared:
            assert not faults(user), user.describe()
        try:
            self.session.check_same(*compared, timeout=120)
        except Timeout:
            self.look_once()
            if len(self.active()) == len(compared):
                raise
            self.compare()

    def describe_edit(self, key):
        node_uuid, author = key
        have = {u.name: u.nodes[node_uuid].data["edits"].get(author) for u in self.load.users if node_uuid in u.nodes}
        return (f"edit {self.load.seen[key]} of {node_uuid} by {author}, who has sent {self.load.sent.get(key)}; owner "
                f"{self.session.admin.nodes[node_uuid].owner}; users have {have}")

    def look_once(self):
        for user in list(self.load.users):
            if user.state == "left":
                self.look()
                break

    def tell(self):
        events = ", ".join(f"{n} {what}" for what, n in sorted(self.events.items()))
        memory = f", {self.server.memory() / MIB:.0f} MiB" if self.server.running else ""
        self.say(f"{self.age:5.0f} s: {self.load.edits} edits, {len(self.active())} users, "
                 f"{len(self.session.admin.nodes)} nodes{memory}; {events}")

    def judge_memory(self):
        seconds = self.memory[-1][0] - self.memory[0][0] if self.memory else 0.0
        if seconds < WARM_UP:
            self.say("too short to say whether memory grows")
            return
        growth, mean = slope(self.memory)
        self.say(f"memory over the last {seconds:.0f} s: {mean / MIB:.1f} MiB on average, "
                 f"{min(y for _, y in self.memory) / MIB:.1f} to {max(y for _, y in self.memory) / MIB:.1f}, "
                 f"a straight line through it grows by {growth * seconds / MIB:+.1f} MiB")
        allowed = 16 * MIB + mean / 10
        assert growth * seconds < allowed, f"the server grows by {growth * 3600 / MIB:.0f} MiB an hour"

    def run(self):
        checked = told = sampled = self.age
        while self.age < self.seconds:
            self.work(self.rng.uniform(0.2, 1.5))
            self.event()
            # After a restart a ghost has as long again.
            if self.ghosts and max(self.ghosts[0][1], self.restarted + GRACE + 3) <= time.monotonic():
                self.back_from_the_dead()
            if self.age - sampled >= 1.0:
                sampled = self.age
                self.sample()
            if self.age - checked >= CHECK_INTERVAL:
                self.check()
                checked = self.age
            if self.age - told >= 30.0:
                self.tell()
                told = self.age
        self.check()
        self.tell()
        self.judge_memory()

    def close(self):
        for _, _, ghost in self.ghosts:
            ghost.close()
        self.fleet.close()
        for line in self.lines.values():
            line.close()
        self.server.close()
