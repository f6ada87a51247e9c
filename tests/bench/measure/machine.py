# SPDX-License-Identifier: GPL-3.0-or-later
"""What the figures were measured on."""

import ctypes
import os
import platform
import re
import subprocess


def _cpu():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:
        match = re.search(r"model name\s*:\s*(.+)", stream.read())
    return match.group(1).strip() if match else platform.machine()


def _libzmq():
    numbers = [ctypes.c_int() for _ in range(3)]
    try:
        ctypes.CDLL("libzmq.so.5").zmq_version(*map(ctypes.byref, numbers))
    except OSError:
        return "unknown"
    return ".".join(str(n.value) for n in numbers)


def _memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30


def describe(daemon):
    version = subprocess.run([daemon, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    return {"cores": len(os.sched_getaffinity(0)), "cpu": _cpu(), "memory_gib": _memory(),
            "kernel": platform.release().split("-")[0], "libzmq": _libzmq(), "scenekeep": version,
            "load_average": round(os.getloadavg()[0], 1)}


def sentence(machine):
    return (f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
            f"libzmq {machine['libzmq']}, scenekeep {machine['scenekeep']}; load average {machine['load_average']} at the "
            "start")
