#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node costs in memory beside its payload, and how that grows.

usage: tests/bench/bench-memory.py [NODES...]     (SCENEKEEPD or top_builddir says which daemon)

For each size, fills a session with nodes of PAYLOAD random bytes, saves it, starts the daemon anew, so that every payload is
mapped from the log, waits IDLE seconds and reads how much memory the process has for itself (RssAnon; pages of mapped
files belong to the kernel). What a node costs is the difference between two sizes, so that the program itself is not
counted. No user is there.
"""

import importlib.machinery
import importlib.util
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

import zmq  # noqa: E402

from server import Server  # noqa: E402

PAYLOAD = 300
IDLE = float(os.environ.get("BENCH_IDLE", "5"))


def load_fill():
    loader = importlib.machinery.SourceFileLoader("save_stall", os.path.join(HERE, "save-stall"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("save_stall", loader))
    loader.exec_module(module)
    return module.fill


def measure(context, fill, n_nodes):
    server = Server(server_password="", failed_login_limit=0, timeout="2s", reconnect_grace="1s")
    try:
        command, data, _ = fill(context, server, n_nodes, PAYLOAD)
        command.close()
        data.close()
        server.wait_log("has left", timeout=60)
        server.restart(signal.SIGTERM)
        time.sleep(IDLE)
        return server.memory()
    finally:
        server.close()


def main():
    sizes = [int(n) for n in sys.argv[1:]] or [2000, 20000, 200000]
    context = zmq.Context()
    fill = load_fill()
    before = None
    print(f"{'nodes':>10}{'RssAnon':>14}{'bytes a node':>14}   (payloads of {PAYLOAD} bytes, idle for {IDLE:g} s)")
    for n in sizes:
        memory = measure(context, fill, n)
        each = "" if before is None else f"{(memory - before[1]) / (n - before[0]):.0f}"
        print(f"{n:>10}{memory:>14}{each:>14}", flush=True)
        before = n, memory
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
