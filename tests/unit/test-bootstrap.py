#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""bootstrap's way from a bare machine to a build, on Debian, Fedora and EL.

It runs in a folder of its own, with stand-ins for the package managers and for everything that would build, which note
how they were called. What the distributions really have, it cannot tell."""
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", "..")))
sys.path.insert(0, os.path.join(TOP, "tests", "lint"))

import tap  # noqa: E402

REAL_TOOLS = ["sh", "env", "sed", "grep", "cat", "mkdir", "dirname", "chmod", "awk", "tee", "tail", "date", "tr", "true"]

STAND_INS = {
    "apt-get": """
        case $1 in update) exit 0 ;; esac
        install "$@"
    """,
    "dnf": """
        install "$@"
    """,
    "dpkg-query": """
        for last; do :; done
        is_there "$last" && echo installed
    """,
    "rpm": """
        [ "$1" = -E ] && { echo "$RHEL"; exit 0; }
        for last; do :; done
        is_there "$last"
    """,
    "crb": "",
    "sudo": """
        [ "$1" = -n ] || { echo "sudo: asks for a password" >&2; exit 1; }
        [ "$SUDO" = free ] || exit 1
        shift
        AS_ROOT=1 exec "$@"
    """,
    "id": "echo ${UID_SHOWN:-0}",
    "nproc": "echo 2",
    "autoreconf": """
        printf '#!/bin/sh\\n' >configure
        chmod +x configure
    """,
    "make": """
        cat >scenekeepd <<'END'
#!/bin/sh
case "$*" in
*--check-config*) echo 'port = 5555;'; echo 'data_dir = "./scenekeep-data";' ;;
*) echo "serving: $*" ;;
esac
END
        chmod +x scenekeepd
    """,
}
NOTED = {"apt-get", "dnf", "crb"}

PROLOGUE = """#!/bin/sh
is_there() { grep -qxF -e "$1" "$STATE/installed"; }
install() {
        [ "$UID_SHOWN" = 0 ] || [ -n "$AS_ROOT" ] || { echo "not root" >&2; exit 1; }
        packages=
        for word in "$@"; do
                case $word in -* | install) ;; *) packages="$packages $word" ;; esac
        done
        for word in $packages; do
                grep -qxF -e "$word" "$STATE/unknown" && { echo "no such package: $word" >&2; exit 1; }
        done
        for word in $packages; do echo "$word" >>"$STATE/installed"; done
        exit 0
}
"""


def lists():
    """The packages that bootstrap names, by the names of its variables."""
    lines = (line.partition("=") for line in tap.read("bootstrap").splitlines())
    return {name: value.strip("'").split() for name, _, value in lines if name.endswith(("_build", "_check"))}


class Machine:
    """A machine with one family's package manager, on which bootstrap is run once."""

    def __init__(self, family, action="run", missing=(), unknown=(), uid=0, sudo="free", rhel=""):
        self.folder = tempfile.mkdtemp(prefix="scenekeep-bootstrap-")
        try:
            self._run(family, action, missing, unknown, uid, sudo, rhel)
        finally:
            shutil.rmtree(self.folder)

    def _run(self, family, action, missing, unknown, uid, sudo, rhel):
        tools = os.path.join(self.folder, "bin")
        work = os.path.join(self.folder, "work")
        os.mkdir(tools)
        os.mkdir(work)
        for name in REAL_TOOLS:
            os.symlink(shutil.which(name), os.path.join(tools, name))
        left_out = {"debian": {"dnf", "rpm", "crb"}, "fedora": {"apt-get", "dpkg-query"},
                    "other": {"dnf", "rpm", "crb", "apt-get", "dpkg-query"}}[family]
        left_out |= {"sudo"} if sudo == "absent" else set()
        left_out |= {"crb"} if not rhel else set()
        for name, body in STAND_INS.items():
            if name in left_out:
                continue
            note = f'echo "${{AS_ROOT:+sudo }}{name} $*" >>"$STATE/calls"\n' if name in NOTED else ""
            path = os.path.join(tools, name)
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(PROLOGUE + note + body)
            os.chmod(path, 0o755)
        known = {p for name, packages in lists().items() for p in packages if name.startswith(family)}
        self._write("installed", known - set(missing) - set(unknown))
        self._write("unknown", unknown)
        self._write("calls", ())
        shutil.copy(os.path.join(TOP, "bootstrap"), work)
        result = subprocess.run(["/bin/sh", "bootstrap", action], cwd=work, text=True, capture_output=True,
                                stdin=subprocess.DEVNULL, timeout=60,
                                env={"PATH": tools, "STATE": self.folder, "UID_SHOWN": str(uid), "SUDO": sudo,
                                     "RHEL": rhel})
        self.status, self.output, self.errors = result.returncode, result.stdout, result.stderr
        with open(os.path.join(self.folder, "calls"), encoding="utf-8") as stream:
            self.calls = stream.read().splitlines()

    def _write(self, name, lines):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as stream:
            stream.writelines(line + "\n" for line in sorted(lines))

    def serves(self):
        return self.status == 0 and "serving: --data-dir ./scenekeep-data" in self.output

    def describe(self):
        return f"status {self.status}, calls {self.calls}, said {self.output!r}, {self.errors!r}"


APT = "apt-get install -y --no-install-recommends"
SOME = {"debian": ["gcc", "libzmq3-dev"], "fedora": ["gcc", "zeromq-devel"]}


def nothing_is_missing():
    """with all packages there, nothing is installed and nobody is asked"""
    for family in ("debian", "fedora", "other"):
        for uid, sudo in ((0, "free"), (1000, "asks"), (1000, "absent")):
            m = Machine(family, uid=uid, sudo=sudo)
            if m.calls or not m.serves():
                yield f"{family} {uid} {sudo}: {m.describe()}"


def root_installs():
    """root: what is missing is named and installed, then built and served"""
    for family, calls in (("debian", ["apt-get update", f"{APT} gcc libzmq3-dev"]),
                          ("fedora", ["dnf -y install gcc zeromq-devel"])):
        m = Machine(family, missing=SOME[family], sudo="absent")
        if m.calls != calls or f"Installing: {' '.join(SOME[family])}" not in m.output or not m.serves():
            yield f"{family}: {m.describe()}"


def user_installs_with_sudo():
    """an ordinary user whom sudo does not ask: the same by way of sudo"""
    for family, calls in (("debian", ["sudo apt-get update", f"sudo {APT} gcc libzmq3-dev"]),
                          ("fedora", ["sudo dnf -y install gcc zeromq-devel"])):
        m = Machine(family, missing=SOME[family], uid=1000)
        if m.calls != calls or not m.serves():
            yield f"{family}: {m.describe()}"


def user_is_told():
    """an ordinary user who may not install is told the command, and nothing is tried"""
    for family, command in (("debian", "apt-get install --no-install-recommends gcc libzmq3-dev"),
                            ("fedora", "dnf install gcc zeromq-devel")):
        for sudo, said in (("asks", f"install them with: sudo {command}"),
                           ("absent", f"install them as root with: {command}")):
            m = Machine(family, missing=SOME[family], uid=1000, sudo=sudo)
            if m.calls or m.status == 0 or said not in m.errors or "serving" in m.output:
                yield f"{family} {sudo}: {m.describe()}"


def told_commands_can_be_typed():
    """what an ordinary user is told can be pasted into a shell"""
    m = Machine("fedora", "check", missing=["python3dist(pyzmq)"], uid=1000, sudo="absent")
    if "dnf install 'python3dist(pyzmq)'" not in m.errors:
        yield m.describe()


def el_has_more_repositories():
    """EL: EPEL and CRB are enabled before anything is installed from them; not where nothing is missing"""
    m = Machine("fedora", missing=["zeromq-devel"], rhel="9")
    if m.calls != ["dnf -y install dnf-plugins-core epel-release", "crb enable", "dnf -y install zeromq-devel"] or \
            not m.serves():
        yield m.describe()
    m = Machine("fedora", rhel="9")
    if m.calls or not m.serves():
        yield m.describe()


def el_without_epel():
    """EL where EPEL cannot be had by name: said, and where to get it"""
    m = Machine("fedora", missing=["zeromq-devel"], unknown=["epel-release", "zeromq-devel"], rhel="9")
    if m.status == 0 or "docs.fedoraproject.org" not in m.output or "still missing: zeromq-devel" not in m.errors:
        yield m.describe()


def what_is_needed_cannot_be_had():
    """a package that is needed and cannot be had ends it, with its name; the others have been installed"""
    for family in ("debian", "fedora"):
        lacking = SOME[family][1]
        m = Machine(family, missing=SOME[family], unknown=[lacking])
        if m.status == 0 or f"still missing: {lacking}" not in m.errors or "serving" in m.output:
            yield f"{family}: {m.describe()}"


def what_tests_want_cannot_be_had():
    """a package that only tests use and a release lacks: the rest is installed, and building goes on"""
    lacking = "python3dist(deepdiff)"
    m = Machine("fedora", "check", missing=["ShellCheck"], unknown=[lacking])
    if f"{lacking} could not be installed" not in m.output or f"Going on without {lacking}" not in m.output or \
            "dnf -y install ShellCheck" not in m.calls or "end-to-end tests: left out" not in m.output or \
            "== gcc-tests: make -C build/gcc -j3 check e2e_tests= ctl_tests=" not in m.output:
        yield m.describe()


def other_distributions():
    """elsewhere nothing is installed, and that is said"""
    m = Machine("other")
    if "neither Debian, Ubuntu, Fedora nor EL" not in m.output or not m.serves():
        yield m.describe()


tap.run(nothing_is_missing, root_installs, user_installs_with_sudo, user_is_told, told_commands_can_be_typed,
        el_has_more_repositories, el_without_epel, what_is_needed_cannot_be_had, what_tests_want_cannot_be_had,
        other_distributions)
