# SPDX-License-Identifier: GPL-3.0-or-later
"""A network between clients and server that a test can cut, stall, slow down and lengthen.

One thread forwards the bytes of any number of connections to three ports; what a client of it sees is the address in
`address`. A bandwidth is in bytes a second and direction, a delay in seconds one way.
"""

import collections
import selectors
import socket
import threading
import time

CHUNK = 65536
# What may be on its way in one direction of one connection before its sender has to wait.
WINDOW = 262144
# What the kernel acknowledges to the server before it is read here: little, since on a real line it is the client that
# acknowledges.
RECEIVE_BUFFER = 16384


class _Pipe:
    """One direction of one connection."""

    def __init__(self, source, sink, to_client):
        self.source = source
        self.sink = sink
        self.to_client = to_client
        self.queue = collections.deque()  # (due, bytes)
        self.queued = 0
        self.ended = False


class Proxy:
    def __init__(self, ports, delay=0.0, bandwidth=None, listen=(0, 0, 0), source="127.0.0.1"):
        self.delay = delay
        self.bandwidth = bandwidth
        self._source = source  # the address that the server sees
        self.to_server = 0  # bytes handed on so far
        # A quarter of a second of a slow line, as in a good router: what waits here counts as arrived.
        self._window = min(WINDOW, max(CHUNK // 4, bandwidth // 4)) if bandwidth else WINDOW
        self._targets = ports
        self._lock = threading.Lock()
        self._orders = []
        self._pipes = []
        self._accepting = True
        self._reading = True  # whether bytes to clients go on; a client behind a stalled one reads nothing
        self._next_due = {}
        self._listeners = self._bind(listen)
        self.address = "127.0.0.1", [s.getsockname()[1] for s in self._listeners]
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._stop = False
        self._thread.start()

    @staticmethod
    def _bind(ports):
        sockets = []
        for port in ports:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            s.bind(("127.0.0.1", port))
            s.listen(64)
            s.setblocking(False)
            sockets.append(s)
        return sockets

    def _order(self, function):
        done = threading.Event()
        with self._lock:
            self._orders.append((function, done))
        self._wake.send(b"x")
        done.wait()

    def cut(self):
        """Ends all connections, as a router that is switched off and on again does."""
        self._order(self._cut)

    def refuse(self):
        """Ends all connections and takes no new ones until allow()."""
        def act():
            self._accepting = False
            self._cut()
        self._order(act)

    def allow(self):
        self._order(lambda: setattr(self, "_accepting", True))

    def stall(self):
        """Nothing reaches the clients any more, though the connections stand."""
        self._order(lambda: setattr(self, "_reading", False))

    def resume(self):
        self._order(lambda: setattr(self, "_reading", True))

    def close(self):
        if self._stop:
            return
        self._stop = True
        self._wake.send(b"x")
        self._thread.join()
        self._cut()
        for s in (*self._listeners, self._wake, self._woken):
            s.close()

    # in the thread

    def _cut(self):
        for pipe in self._pipes:
            for s in (pipe.source, pipe.sink):
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                except OSError:
                    pass
                s.close()
        self._pipes.clear()

    def _run(self):
        while not self._stop:
            now = time.monotonic()
            with selectors.DefaultSelector() as selector:
                timeout = self._register(selector, now)
                events = selector.select(timeout)
            self._handle(events)

    def _register(self, selector, now):
        timeout = None
        wanted = collections.defaultdict(int)
        if self._accepting:
            for listener in self._listeners:
                wanted[listener] |= selectors.EVENT_READ
        wanted[self._woken] |= selectors.EVENT_READ
        for pipe in self._pipes:
            stalled = pipe.to_client and not self._reading
            # While it is stalled the server's kernel keeps what is not read here, as it does behind a dead link.
            if pipe.queued < self._window and not pipe.ended and not stalled:
                wanted[pipe.source] |= selectors.EVENT_READ
            if pipe.queue and not stalled:
                if pipe.queue[0][0] <= now:
                    wanted[pipe.sink] |= selectors.EVENT_WRITE
                else:
                    wait = pipe.queue[0][0] - now
                    timeout = wait if timeout is None else min(timeout, wait)
        for s, mask in wanted.items():
            selector.register(s, mask)
        return timeout

    def _handle(self, events):
        ready = {key.fileobj: mask for key, mask in events}
        if self._woken in ready:
            self._woken.recv(4096)
        with self._lock:
            orders, self._orders = self._orders, []
        for function, done in orders:
            function()
            done.set()
        if orders:
            return
        for listener, port in zip(self._listeners, self._targets):
            if listener in ready:
                self._accept(listener, port)
        for pipe in list(self._pipes):
            if pipe in self._pipes and ready.get(pipe.source, 0) & selectors.EVENT_READ:
                self._read(pipe)
            if pipe in self._pipes and ready.get(pipe.sink, 0) & selectors.EVENT_WRITE:
                self._write(pipe)

    def _accept(self, listener, port):
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        try:
            server.bind((self._source, 0))
            server.connect(("127.0.0.1", port))
        except OSError:
            client.close()
            server.close()
            return
        for s in (client, server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pipes.append(_Pipe(client, server, to_client=False))
        self._pipes.append(_Pipe(server, client, to_client=True))

    def _due(self, pipe, size):
        now = time.monotonic()
        if not self.bandwidth:
            return now + self.delay
        key = pipe.to_client
        start = max(now, self._next_due.get(key, now))
        self._next_due[key] = start + size / self.bandwidth
        return self._next_due[key] + self.delay

    def _read(self, pipe):
        try:
            data = pipe.source.recv(CHUNK if not self.bandwidth else 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            pipe.queue.append((self._due(pipe, len(data)), data))
            pipe.queued += len(data)
        else:
            pipe.ended = True
            if not pipe.queue:
                self._end(pipe)

    def _write(self, pipe):
        now = time.monotonic()
        while pipe.queue and pipe.queue[0][0] <= now:
            due, data = pipe.queue[0]
            try:
                sent = pipe.sink.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._end(pipe)
                return
            pipe.queued -= sent
            if not pipe.to_client:
                self.to_server += sent
            if sent < len(data):
                pipe.queue[0] = (due, data[sent:])
                return
            pipe.queue.popleft()
        if pipe.ended and not pipe.queue:
            self._end(pipe)

    def _end(self, pipe):
        for other in [p for p in self._pipes if {p.source, p.sink} == {pipe.source, pipe.sink}]:
            self._pipes.remove(other)
        pipe.source.close()
        pipe.sink.close()
