# SPDX-License-Identifier: GPL-3.0-or-later
"""How the package comes to a machine and leaves it again, with Debian's package manager and with that of Fedora and EL.

The commands are those that README.md tells people to type.
"""


class Debian:
    """/srv/repo is a repository with the package in it, /srv/upgrade a newer version."""

    # The admin password that somebody finds after the installation.
    password_file = "/etc/scenekeep/default.admin-password"

    def __init__(self, machine):
        self.machine = machine

    def install(self):
        self.machine.run("apt-get", "update")
        return self.machine.run("apt-get", "install", "-y", "--no-install-recommends", "scenekeep", timeout=300)

    def upgrade(self):
        return self.machine.try_run("apt-get", "install", "-y", "/srv/upgrade/scenekeep.deb", timeout=300)

    def is_upgraded(self):
        return "+upgrade" in self.machine.run("dpkg-query", "-W", "-f=${Version}", "scenekeep")

    def remove(self):
        self.machine.run("apt-get", "remove", "-y", "scenekeep")

    def purge(self):
        self.machine.run("apt-get", "purge", "-y", "scenekeep")


class Fedora:
    """The same with dnf. What the package needs is there by other ways; packages without content stand in for it."""

    password_file = "/var/lib/scenekeep/default/admin-password"

    def __init__(self, machine):
        self.machine = machine

    def install(self):
        return self.machine.run("dnf", "-y", "install", "scenekeep", timeout=300)

    def upgrade(self):
        return self.machine.try_run("sh", "-c", "dnf -y install /srv/upgrade/scenekeep-*.rpm", timeout=300)

    def is_upgraded(self):
        return "upgrade" in self.machine.run("rpm", "-q", "scenekeep")

    def remove(self):
        self.machine.run("dnf", "-y", "remove", "scenekeep", timeout=300)
