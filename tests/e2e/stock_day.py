# SPDX-License-Identifier: GPL-3.0-or-later
"""A day's work of two to five users with the add-on's own library, at the pace of people, in as many minutes as there are.

They come and go, drag, edit at the same time, add, lock, delete, chat and tick off tasks, while the server saves and is
restarted or killed. Every minute they rest; then all scenes must be equal to what the server writes out and to what a
newcomer is handed, and every user's last edits be in them.
"""

import gzip
import os
import pickle
import random
import signal
import sys
import tempfile
import time

from replication import porcelain
from replication.constants import STATE_ACTIVE, STATE_LOBBY, UP
from replication.exception import NonAuthorizedOperationError

import ctl
from addon import Addon
from stock_user import Thing, User, ok, same, wait
from values import canonical

NAMES = ("anna", "bert ✓", "carl", "dora", "emil")
OBJECTS = 150
# An edit younger than this may be on its way when the server ends, and then its author alone has it.
ON_ITS_WAY = 2.0
REST = 60.0


class Artist:
    """Somebody with a Blender: it is there when `user` is."""

    def __init__(self, day, name):
        self.day = day
        self.name = name
        self.user = None
        self.addon = None       # its memory outlives a connection
        self.locked = set()
        self.dragged = None     # uuid, steps to go
        self.next = 0.0
        self.counts = {}        # uuid -> the number of this user's last edit of it
        self.sent = {}          # uuid -> when
        self.deleting = {}      # uuid -> when

    @property
    def is_there(self):
        return self.user is not None

    def come(self):
        self.user = User(self.day.server, self.name, admin=self.name == NAMES[0])
        if self.addon:
            self.addon.client = self.user
        else:
            self.addon = Addon(self.user)
        wait(f"{self.name} to be there", lambda: self.user.state == STATE_ACTIVE)

    def go(self):
        self.user.leave()
        self.user = None
        self.locked.clear()
        self.dragged = None

    def mine(self, node_uuid):
        return self.user.nodes[node_uuid].owner in ("COMMON", self.name)

    def any_node(self):
        nodes = [u for u, n in self.user.nodes.items() if self.mine(u) and n.instance and n.state == UP]
        return self.day.random.choice(nodes) if nodes else None

    def edit(self, node_uuid, **values):
        number = self.counts.get(node_uuid, 0) + 1
        try:
            self.user.edit(node_uuid, **{"by " + self.name: number}, **values)
        except NonAuthorizedOperationError:
            return
        self.counts[node_uuid] = number
        self.sent[node_uuid] = time.monotonic()
        self.day.edits += 1

    def turn(self):
        """The next thing that this person does, if it is time for it."""
        now = time.monotonic()
        if now < self.next or self.user.state != STATE_ACTIVE:
            return
        rng = self.day.random
        if self.dragged:
            node_uuid, steps = self.dragged
            self.dragged = (node_uuid, steps - 1) if steps > 1 else None
            if node_uuid in self.user.nodes and self.mine(node_uuid):
                self.edit(node_uuid, location=[rng.random() for _ in range(3)])
            self.next = now + 0.067  # fifteen a second
            return
        self.next = now + rng.expovariate(1.5)
        self._begin(rng.random(), rng)

    def _begin(self, choice, rng):
        node_uuid = self.any_node()
        if node_uuid is None or choice < 0.06:
            self._add(rng)
        elif choice < 0.10:
            self._delete(rng)
        elif choice < 0.16:
            self._lock(node_uuid)
        elif choice < 0.20:
            self._unlock()
        elif choice < 0.26:
            self.addon.read_chat()
            self.addon.say(f"{self.name} has made {len(self.counts)} changes")
        elif choice < 0.31:
            self._task(rng)
        elif choice < 0.45:
            self.addon.move_view()
            self.user.metadata(selected_objects={node_uuid})
        elif choice < 0.70:
            self.dragged = node_uuid, rng.randrange(5, 40)
        elif choice < 0.78:
            self._all_at_once(rng)
        elif choice < 0.83:
            self.edit(node_uuid, co=rng.randbytes(rng.choice((3_000, 60_000, 400_000))))
        else:
            self.edit(node_uuid, **{rng.choice("abcdef"): rng.choice((rng.random(), [1, (2, None)], {"k": "ü"}, True))})

    def _add(self, rng):
        known = [n.instance for n in self.user.nodes.values() if n.instance]
        thing = Thing(f"of {self.name}", {"location": [0.0, 0.0, 0.0]}, rng.sample(known, min(len(known), 2)))
        self.user.publish(self.user.add(thing))
        self.sent[thing.uuid] = time.monotonic()
        self.day.added += 1

    def _delete(self, rng):
        """One that the others have, so that its Delete cannot be there before it."""
        old = [u for u, n in self.user.nodes.items() if n.owner == "COMMON" and
               all(u in a.user.nodes for a in self.day.there())]
        if len(old) > OBJECTS // 2:
            node_uuid = rng.choice(old)
            porcelain.rm(self.user.repository, node_uuid, remove_dependencies=False)
            self.deleting[node_uuid] = time.monotonic()
            self.day.deleted.add(node_uuid)

    def _lock(self, node_uuid):
        porcelain.lock(self.user.repository, [node_uuid], affect_dependencies=False)
        self.locked.add(node_uuid)

    def _unlock(self):
        held = [u for u in self.locked if u in self.user.nodes]
        if held:
            porcelain.unlock(self.user.repository, held, affect_dependencies=False)
        self.locked.clear()

    def _task(self, rng):
        self.addon.read_tasks()
        open_tasks = [t["title"] for t in self.addon.tasks.values() if t["status"] != "done"]
        if len(open_tasks) < 5:
            self.addon.add_task(f"task {len(self.addon.tasks)} of {self.name}")
        else:
            self.addon.set_status(rng.choice(open_tasks), rng.choice(("in_progress", "done")))

    def _all_at_once(self, rng):
        """Everybody changes the same value of the same object."""
        there = self.day.there()
        common = [u for u in self.user.nodes if all(u in a.user.nodes and a.mine(u) and a.user.nodes[u].instance for a in there)]
        if common:
            node_uuid = rng.choice(common)
            for artist in there:
                artist.edit(node_uuid, argued_about=rng.random())

    def send_anew(self, since):
        """As a user's next touch of an object does: what was on its way to a server that is no more."""
        for node_uuid, when in self.sent.items():
            if when > since and node_uuid in self.user.nodes and self.mine(node_uuid):
                porcelain.push(self.user.repository, "origin", node_uuid, force=True)
        for node_uuid, when in self.deleting.items():
            if when > since and node_uuid in self.user.nodes and self.mine(node_uuid):
                porcelain.rm(self.user.repository, node_uuid, remove_dependencies=False)


class Day:
    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        self.artists = [Artist(self, name) for name in NAMES]
        self.edits = self.added = self.restarts = self.joins = self.leaves = 0
        self.deleted = set()

    def there(self):
        return [a for a in self.artists if a.is_there]

    def begin(self):
        anna, bert = self.artists[:2]
        for artist in (anna, bert):
            artist.user = User(self.server, artist.name, admin=artist is anna)
            artist.addon = Addon(artist.user)
        wait("the lobby", lambda: anna.user.state == bert.user.state == STATE_LOBBY)
        meshes = [Thing(f"mesh {i}", {"co": self.random.randbytes(5000)}) for i in range(OBJECTS // 3)]
        for i in range(OBJECTS):
            anna.user.add(Thing(f"object {i}", {"location": [0.0, 1.0, float(i)]}, [meshes[i % len(meshes)]]))
        for mesh in meshes:
            anna.user.world[mesh.uuid] = mesh
        anna.user.session.init()
        wait("the init", lambda: anna.user.state == bert.user.state == STATE_ACTIVE)

    def work(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for user in User.everybody:
                user.turn()
            for artist in self.there():
                artist.turn()
                assert not artist.user.exits, f"{artist.name} was thrown out: {artist.user.exits}"
            time.sleep(0.001)

    def come_and_go(self):
        there = self.there()
        if len(there) > 2 and self.random.random() < 0.5:
            self.random.choice(there).go()
            self.leaves += 1
        elif len(there) < len(NAMES):
            self.random.choice([a for a in self.artists if not a.is_there]).come()
            self.joins += 1

    def restart(self):
        number = self.random.choice((signal.SIGTERM, signal.SIGKILL))
        begin = time.monotonic()
        self.server.restart(number, wait=False)
        self.restarts += 1
        self.work(3)
        return begin - ON_ITS_WAY

    def rest(self, since):
        """Everybody stops, and everything must be the same everywhere."""
        for artist in self.there():
            artist.dragged = None
        users = [a.user for a in self.there()]
        self._settle()
        if since is not None:
            for artist in self.there():
                artist.send_anew(since)
                self._settle()
        same(*users)
        scene = users[0].scene()
        with tempfile.TemporaryDirectory(prefix="scenekeep-e2e-") as folder:
            path = os.path.join(folder, "all.db")
            ctl.good("export", path, "--data-dir", self.server.data_dir)
            with gzip.open(path) as stream:
                nodes = pickle.load(stream)["nodes"]
        exported = {n[1].decode(): (tuple(pickle.loads(n[3]) or ()), canonical(pickle.loads(n[4]))) for n in nodes}
        assert exported == {u: s[1:] for u, s in scene.items()}, "the server's scene differs"
        lost = [(a.name, u, n) for a in self.artists for u, n in a.counts.items()
                if u in scene and users[0].values(u).get("by " + a.name, 0) < n and a.sent.get(u, 0) < time.monotonic() - ON_ITS_WAY]
        assert not lost, f"lost: {lost}"
        alive = self.deleted & scene.keys()
        assert not alive, f"deleted, and there again: {alive}"

    def _settle(self):
        """Until nothing has changed anywhere for a second."""
        last, since = None, 0.0
        end = time.monotonic() + 60
        while time.monotonic() < end:
            self_now = [u.scene() for u in User.everybody]
            if self_now != last:
                last, since = self_now, time.monotonic()
            elif time.monotonic() - since > 1:
                return
            for _ in range(100):
                for user in User.everybody:
                    user.turn()
                time.sleep(0.001)
        raise AssertionError("the scenes do not come to rest")


def work_for(server, minutes, seed=None):
    seed = int(seed) if seed else random.SystemRandom().randrange(1 << 32)
    print(f"# seed {seed}", flush=True)
    User.server = server
    day = Day(server, seed)
    day.begin()
    begin = time.monotonic()
    end = begin + minutes * 60
    while time.monotonic() < end:
        rest = min(time.monotonic() + REST, end)
        since = None
        restart_at = time.monotonic() + day.random.uniform(10, 50) if day.random.random() < 0.4 else None
        while time.monotonic() < rest:
            day.work(min(day.random.uniform(3, 10), max(0.0, rest - time.monotonic())))
            day.come_and_go()
            if day.random.random() < 0.1:
                ctl.good("save", "--data-dir", server.data_dir)
            if restart_at and time.monotonic() > restart_at:
                restart_at, since = None, min(day.restart(), since or float("inf"))
        day.rest(since)
        ok(f"after {(time.monotonic() - begin) / 60:.1f} minutes {len(day.there())} users, the server and a newcomer have "
           f"the same {len(day.there()[0].user.nodes)} nodes ({day.edits} edits, {day.added} added, {len(day.deleted)} "
           f"deleted, {day.joins} joins, {day.leaves} leaves, {day.restarts} restarts)")
    for artist in day.there():
        artist.addon.read_chat()
        artist.go()
    server.restart(signal.SIGTERM)
    last = Artist(day, NAMES[0])
    last.come()
    last.addon.read_chat()
    last.addon.read_tasks()
    assert last.addon.messages and last.addon.tasks, "chat and tasks are gone"
    print(f"# {len(last.addon.messages)} messages and {len(last.addon.tasks)} tasks are told to one who comes later",
          file=sys.stderr)
    last.go()
