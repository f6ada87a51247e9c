# SPDX-License-Identifier: GPL-3.0-or-later
"""A running session with the users of a test in it."""

from server import ADMIN_PASSWORD
from wire import Status


class Session:
    """A running session: an admin who has initialised it, and the users that join."""

    def __init__(self, fleet, server, nodes, **options):
        self.fleet = fleet
        self.server = server
        self.uuids = [node[0] for node in nodes]
        self.admin = self.connect("anna", admin=True, **options)
        self.admin.wait_state("lobby")
        self.admin.init(nodes)
        self.admin.wait_state("active")
        self.users = [self.admin]

    def connect(self, name, admin=False, **options):
        if admin:
            options.setdefault("admin_password", ADMIN_PASSWORD)
        options.setdefault("password", self.server.server_password)
        return self.fleet.client(self.server.address, name, **options).connect()

    def join(self, *names, **options):
        joined = [self.connect(name, **options) for name in names]
        self.fleet.wait_active(*joined)
        self.users += joined
        self.announced()
        return joined if len(joined) > 1 else joined[0]

    def join_over(self, proxy, name, **options):
        """Joins through the proxy."""
        user = self.fleet.client(proxy.address, name, **options).connect()
        user.wait_state("active")
        self.users.append(user)
        self.announced()
        return user

    def announced(self):
        """Waits until every user is known to be active to all."""
        names = {u.name for u in self.users if u.state == "active"}
        self.fleet.wait_until(
            lambda: all({n for n, x in u.users.items() if x["status"] == Status.ACTIVE} >= names
                        for u in self.users if u.state == "active"),
            what=f"{names} to be announced")

    def active(self):
        return [u for u in self.users if u.state == "active"]

    def quit(self, *clients):
        """They quit, and the server has let go of them. With a short reconnect_grace this is soon."""
        mark = self.server.mark()
        for client in clients:
            client.disconnect()
            self.users.remove(client)
        for client in clients:
            self.server.wait_log(rf"{client.name} has left", fleet=self.fleet, mark=mark)

    def send_away(self, client):
        """Ends the stay of one whose going is not what is tested, without a wait for the grace time: kicked as long as
        there is an admin."""
        self.users.remove(client)
        if self.admin.state != "active":
            client.disconnect()
            return
        self.admin.kick(client.name)
        self.fleet.wait_until(lambda: client.state == "left" and all(client.name not in u.users for u in self.active()),
                              what=f"{client.name} to be gone")

    def restart(self, number):
        """Restarts the server, and waits for everybody to be back: who quits before is waited for until `timeout`."""
        mark = self.server.mark()
        self.server.restart(number)
        for client in self.active():
            self.server.wait_log(rf"{client.name} is back", fleet=self.fleet, mark=mark)

    def check_same(self, *clients, **options):
        clients = clients or self.active()
        return self.fleet.check_same(self.server.address, *clients, password=self.server.server_password, **options)
