#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed for other programs: firewalld, ufw, bash and systemd-sysusers."""
import configparser
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree

import tap

PORTS = sorted(int(port) for port in re.findall(r"ListenStream=(\d+)\|", tap.read("units/Makefile-units.am")))


def firewalls_know_the_ports():
    """the firewalls' services open the ports of the default session's sockets, and no others"""
    if PORTS != list(range(PORTS[0], PORTS[0] + 3)):
        yield f"the units' ports {PORTS} are no three that follow each other"
    span = f"{PORTS[0]}-{PORTS[-1]}"
    service = xml.etree.ElementTree.fromstring(tap.read("etc/firewalld/scenekeep.xml").encode())
    opened = [(p.get("protocol"), p.get("port")) for p in service.iter("port")]
    if service.tag != "service" or opened != [("tcp", span)] or not service.findtext("short"):
        yield f"firewalld: {opened}"
    profile = configparser.ConfigParser()
    profile.read_string(tap.read("etc/ufw/scenekeep"))
    if profile.sections() != ["scenekeep"] or set(profile["scenekeep"]) != {"title", "description", "ports"}:
        yield f"ufw: sections {profile.sections()}"
    elif profile["scenekeep"]["ports"] != span.replace("-", ":") + "/tcp":
        yield f"ufw: {profile['scenekeep']['ports']}"


def completion_is_bash():
    """the completion can be read by bash, and completes scenekeepctl"""
    if not shutil.which("bash"):
        return
    script = f". '{tap.TOP}/src/ctl/completion/scenekeepctl' && complete -p scenekeepctl"
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=False)
    if done.returncode != 0 or "scenekeepctl" not in done.stdout or done.stderr:
        yield done.stderr or done.stdout


def user_is_made():
    """systemd-sysusers makes the user and the group that the units name, who cannot log in"""
    units = " ".join(tap.read(f) for f in tap.source_files(".service.in"))
    if set(re.findall("^(?:User|Group)=(.*)$", units, re.M)) != {"scenekeep"}:
        yield "the units name other users"
    if not shutil.which("systemd-sysusers") or os.geteuid() != 0:
        return
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(root + "/etc")
        done = subprocess.run(["systemd-sysusers", "--root=" + root, os.path.join(tap.TOP, "units/scenekeep.sysusers")],
                              capture_output=True, text=True, check=False)
        made = {}
        for name in ("passwd", "group"):
            if os.path.exists(f"{root}/etc/{name}"):
                with open(f"{root}/etc/{name}", encoding="utf-8") as stream:
                    made[name] = stream.read()
        if done.returncode != 0 or not re.search(r"^scenekeep:x:\d+:\d+:[^:]*:/var/lib/scenekeep:.*nologin$",
                                                 made.get("passwd", ""), re.M):
            yield f"{done.stderr}{made}"
        if not re.search("^scenekeep:x:", made.get("group", ""), re.M):
            yield f"no group: {made}"


def units_are_described():
    """scenekeepd(8) describes every unit"""
    manual = tap.read("src/man/scenekeepd.8")
    for path in tap.source_files(".socket", ".slice", ".target", ".timer", ".socket.in", ".service.in"):
        name = os.path.basename(path).removesuffix(".in")
        # What a timer or a connection starts goes by the name of that; an instance by that of the default session.
        name = re.sub(r"^(scenekeep-(?:backup|scrub|drill))@\.service$", r"\1@.timer", name)
        name = re.sub(r"^scenekeep-metrics@\.service$", "scenekeep-metrics.socket", name)
        name = re.sub(r"^(scenekeep|scenekeep-data|scenekeep-ttl)@\.", r"\1.", name)
        if name.replace("@.timer", "@NAME.timer") not in manual:
            yield f"{path}: {name} is not in src/man/scenekeepd.8"


tap.run(firewalls_know_the_ports, completion_is_bash, user_is_made, units_are_described)
