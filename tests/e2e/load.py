# SPDX-License-Identifier: GPL-3.0-or-later
"""Users at work, and the record of what each of them has seen of the others.

Every edit sets a counter of its author in the node's data, so of any scene it can be said which edits are in it.
"""

from values import item, mesh, new_uuid


class Load:
    def __init__(self, fleet, users, rng, shared=()):
        self.fleet = fleet
        self.users = []
        self.rng = rng
        self.shared = list(shared)
        self.own = {}
        self.sent = {}          # (uuid, author) -> number of the last edit
        self.seen = {}          # (uuid, author) -> highest number that any other user has had
        self.added = {}         # uuid -> (author, data) of whole nodes that somebody else has seen
        self.deleted = set()    # uuids that a Delete has come back for
        self.edits = 0
        for user in users:
            self.welcome(user)

    def welcome(self, user):
        self.users.append(user)
        self.own[user] = []
        user.on_update = self._noted

    def part(self, user):
        """It is gone, and its nodes are nobody's."""
        self.users.remove(user)
        del self.own[user]

    def _noted(self, client, update):
        node = client.nodes.get(update.uuid)
        if not node or type(node.data) is not dict:
            return
        for author, number in node.data.get("edits", {}).items():
            if author != client.name:
                key = (update.uuid, author)
                self.seen[key] = max(self.seen.get(key, 0), number)
        self.added.setdefault(update.uuid, True)

    def add(self, user, data=None):
        node_uuid = new_uuid(self.rng)
        user.push(node_uuid, data or {**item(f"of {user.name}", self.rng), "edits": {user.name: 0}})
        self.own[user].append(node_uuid)
        return node_uuid

    def edit(self, user, node_uuid):
        number = self.sent.get((node_uuid, user.name), 0) + 1
        self.sent[node_uuid, user.name] = number

        def change(data):
            data["edits"][user.name] = number
            data["places"][user.name] = [self.rng.random(), number]
        user.edit(node_uuid, change)
        self.edits += 1

    def delete(self, user, node_uuid):
        self.own[user].remove(node_uuid)
        self.deleted.add(node_uuid)
        user.delete(node_uuid)

    def turn(self):
        """One thing by each user who is there."""
        for user in self.users:
            if user.state != "active":
                continue
            own = [u for u in self.own[user] if u in user.nodes]
            # When both a node and its Delete go into a connection that breaks, only its author has it, for ever.
            arrived = [u for u in own if u in self.added]
            choice = self.rng.random()
            if choice < 0.04 or not own:
                self.add(user)
            elif choice < 0.06:
                self.add(user, {**mesh("big", self.rng, vertices=20_000), "edits": {user.name: 0}})
            elif choice < 0.08 and len(arrived) > 3:
                self.delete(user, self.rng.choice(arrived))
            elif choice < 0.2:
                user.metadata(frame_current=self.edits)
            elif choice < 0.5 and self.shared:
                self.edit(user, self.rng.choice([u for u in self.shared if u in user.nodes]))
            else:
                self.edit(user, self.rng.choice(own))

    def overtaken(self):
        """Edits that others have seen and that their author's own copy lacks: it was sent the node while they were on
        their way, and will be sent it again."""
        return [(node_uuid, author) for (node_uuid, author), number in self.seen.items() for user in self.users
                if user.name == author and node_uuid in user.nodes
                and user.nodes[node_uuid].data.get("edits", {}).get(author, 0) < number]

    def missing_from(self, scene_nodes):
        """What some user had seen of another one's work and these nodes do not have."""
        out = []
        for node_uuid in self.added:
            if node_uuid not in scene_nodes and node_uuid not in self.deleted:
                out.append(f"node {node_uuid}")
        for (node_uuid, author), number in self.seen.items():
            if node_uuid in self.deleted:
                continue
            have = scene_nodes[node_uuid].data.get("edits", {}).get(author, 0) if node_uuid in scene_nodes else -1
            if have < number:
                out.append(f"edit {number} of {node_uuid} by {author} (has {have})")
        return out
