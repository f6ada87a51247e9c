# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a client that answers the server's PINGs.

In a stock client it is a process of its own, which goes on when Blender stalls, and which is left behind when Blender
crashes. Here it is a thread: it shares nothing with the rest of the client but the routing id.
"""

import threading
import time
import uuid

import zmq


class Heartbeat(threading.Thread):
    def __init__(self, context, endpoint, routing_id, timeout):
        super().__init__(name="heartbeat", daemon=True)
        self.pings = 0
        self.longest_gap = 0.0
        self._limit = timeout + 1.0
        name = f"inproc://heartbeat-{uuid.uuid4().hex}"
        self._orders = context.socket(zmq.PAIR)
        self._orders.bind(name)
        self._inbox = context.socket(zmq.PAIR)
        self._inbox.connect(name)
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.ROUTING_ID, routing_id)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)

    def run(self):
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._inbox, zmq.POLLIN)
        self._socket.send(b"INIT")
        muted = False
        last = time.monotonic()
        while True:
            rest = self._limit - (time.monotonic() - last)
            ready = dict(poller.poll(max(0.0, rest) * 1000))
            if self._inbox in ready:
                order = self._inbox.recv()
                if order == b"stop":
                    break
                muted = order == b"mute"
            if self._socket in ready:
                self._socket.recv_multipart()
                now = time.monotonic()
                self.longest_gap = max(self.longest_gap, now - last)
                last = now
                self.pings += 1
                if not muted:
                    self._socket.send(b"PONG")
            elif time.monotonic() - last >= self._limit:
                break
        self._socket.close()
        self._inbox.close()

    def _order(self, word):
        if not self._orders.closed:
            self._orders.send(word)

    def mute(self):
        """PINGs are still read, but no longer answered."""
        self._order(b"mute")

    def unmute(self):
        self._order(b"unmute")

    def stop(self):
        if self._orders.closed:
            return
        if self.is_alive():
            self._orders.send(b"stop")
            self.join()
        self._orders.close()
