"""Proxies that stand before an API server and do what a real one does rarely; what that is, faults.py says.

`FaultProxy` ends the TLS of its clients and speaks HTTP/1.1 both ways: it knows requests and events, and counts them. Credentials in headers pass through, client
certificates do not. `TcpProxy` passes bytes on as they are, whatever is spoken (HTTP/2, client certificates), and can only cut, hold and slow them.
Both run in a thread of their own; their methods may be called from any other.
"""
import asyncio
import collections
import random
import re
import ssl
import threading
import urllib.parse

LIMIT = 64 << 20  # longest line and largest request body
HOLD = 0.3        # seconds that events may be kept back to change their order
Request = collections.namedtuple("Request", "method path query watch status fault")  # what was asked, the status that was answered (0: none), the fault's name


class Cut(Exception):
    """The client's connection is to be cut now."""


class Loop:
    """An asyncio loop in a thread, with one listener on 127.0.0.1."""

    def __init__(self, tls=None, seed=1):
        self.random, self.tls, self.lock, self.clients, self.tasks = random.Random(seed), tls, threading.Lock(), set(), set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.stalled = self.ask(self.make_event())
        self.server = self.ask(asyncio.start_server(self.accept, "127.0.0.1", 0, ssl=tls, limit=LIMIT))
        self.port = self.server.sockets[0].getsockname()[1]

    def ask(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def make_event(self):
        flowing = asyncio.Event()
        flowing.set()
        return flowing

    async def accept(self, reader, writer):
        task = asyncio.current_task()
        self.clients.add(writer)
        self.tasks.add(task)
        try:
            await self.serve(reader, writer)
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), 5)
        except (Cut, OSError, EOFError, asyncio.CancelledError, asyncio.TimeoutError, ValueError):
            pass
        finally:
            self.clients.discard(writer)
            self.tasks.discard(task)
            writer.transport.abort()

    def cut(self):
        """Cuts all connections; new ones are taken. Answers how many there were."""
        async def cut_now():
            found = list(self.clients)
            for writer in found:
                writer.transport.abort()
            return len(found)
        return self.ask(cut_now())

    def stall(self):
        """Connections stay, and no byte moves until `flow`, as when a cable is pulled."""
        self.loop.call_soon_threadsafe(self.stalled.clear)

    def flow(self):
        self.loop.call_soon_threadsafe(self.stalled.set)

    def connections(self):
        return len(self.clients)

    def close(self):
        async def end():
            self.server.close()
            for task in list(self.tasks):
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
        self.ask(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()


class TcpProxy(Loop):
    """Passes bytes between its port and `upstream` on 127.0.0.1; `rate`: bytes per second to the client, None for all there are."""

    def __init__(self, upstream, rate=None, seed=1):
        self.upstream, self.rate = upstream, rate
        super().__init__(seed=seed)

    async def serve(self, reader, writer):
        above, below = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            pumps = [asyncio.ensure_future(self.pump(reader, below, None)), asyncio.ensure_future(self.pump(above, writer, self.rate))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            below.transport.abort()

    async def pump(self, source, sink, rate):
        while data := await source.read(65536 if rate is None else max(1, int(rate / 20))):
            await self.stalled.wait()
            sink.write(data)
            await sink.drain()
            if rate is not None:
                await asyncio.sleep(len(data) / rate)


class FaultProxy(Loop):
    """Before the server at `upstream` on 127.0.0.1. `folder` holds ca.crt of that server and server.crt, server.key of our own; without it plain http both ways."""

    def __init__(self, upstream, folder=None, seed=1):
        self.upstream, self.faults, self.seen, self.above = upstream, [], [], None
        self.watches, self.events = 0, 0  # that are open now; that were sent on
        tls = None
        if folder is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(f"{folder}/server.crt", f"{folder}/server.key")
            tls.set_alpn_protocols(["http/1.1"])
            self.above = ssl.create_default_context(cafile=f"{folder}/ca.crt")
        super().__init__(tls, seed)

    @classmethod
    def before(cls, cluster, **more):
        return cls(cluster.port, cluster.folder, **more)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    # -- what shall happen, and what did

    def add(self, *faults):
        """Faults are tried in order, and the first that fits happens. Answers the last, for `remove`."""
        with self.lock:
            self.faults.extend(faults)
        return faults[-1]

    def remove(self, fault):
        with self.lock:
            self.faults = [f for f in self.faults if f is not fault]

    def clear(self):
        with self.lock:
            self.faults = []

    def requests(self, method=None, path="", watch=None, fault=None):
        """The requests so far that fit, in the order of their ends; a watch is here from its beginning. `fault`: name of what befell them, "" for nothing."""
        with self.lock:
            return [r for r in self.seen if method in (None, r.method) and watch in (None, r.watch) and fault in (None, r.fault)
                    and re.search(path, r.path + ("?" + r.query if r.query else ""))]

    def forget(self):
        """Begins to count anew."""
        with self.lock:
            self.seen = []

    def note(self, method, target, watch, status, fault):
        path, _, query = target.partition("?")
        with self.lock:
            self.seen.append(Request(method, path, query, watch, status, fault.name if fault else ""))

    def choose(self, method, target, watch):
        with self.lock:
            for fault in self.faults:
                if fault.fits(method, target, watch, self.random.random):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    # -- one connection

    async def serve(self, reader, writer):
        upstream = None
        try:
            while True:
                head = await read_head(reader)
                method, target, _ = head[0].split(" ", 2)
                if header(head, "expect") == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    head = without(head, "expect")
                body = b"".join([part async for part in read_body(reader, head, request=True)])
                await self.stalled.wait()
                watch = urllib.parse.parse_qs(target.partition("?")[2]).get("watch", ["false"])[0] in ("true", "1")
                fault = self.choose(method, target, watch)
                if fault:
                    await asyncio.sleep(fault.wait)
                if fault and fault.refuse:
                    self.note(method, target, watch, 0, fault)
                    raise Cut
                if fault and fault.status is not None:
                    self.note(method, target, watch, fault.status, fault)
                    await respond(writer, method, fault)
                    continue
                upstream, answered = await self.forward(upstream, without(head, "content-length", "transfer-encoding"), body)
                status = int(answered[0].split(" ", 2)[1])
                self.note(method, target, watch, status, fault)
                if fault and fault.lose:
                    raise Cut
                await self.relay(upstream[0], (reader, writer), method, answered, fault, watch and status == 200)
                if fault and fault.end_after is not None:  # the rest of the server's stream is still to come
                    upstream[1].transport.abort()
                    upstream = None
                if "close" in (header(answered, "connection"), header(head, "connection")):
                    return
        finally:
            if upstream:
                upstream[1].transport.abort()

    async def forward(self, upstream, head, body):
        """The connection that was used and the head of its answer; a connection that the server has closed meanwhile is replaced once."""
        if body or head[0].split(" ", 1)[0] in ("POST", "PUT", "PATCH"):
            head = [*head, f"Content-Length: {len(body)}"]
        for last in (upstream is None, True):
            if upstream is None:
                upstream = await asyncio.open_connection("127.0.0.1", self.upstream, ssl=self.above, limit=LIMIT)
            try:
                upstream[1].write("\r\n".join([*head, "", ""]).encode("latin-1") + body)
                await upstream[1].drain()
                answered = await read_head(upstream[0])
                while answered[0].split(" ", 2)[1] == "100":
                    answered = await read_head(upstream[0])
                return upstream, answered
            except (OSError, EOFError):
                upstream[1].transport.abort()
                upstream = None
                if last:
                    raise
        raise AssertionError("unreachable")

    async def relay(self, above, client, method, head, fault, events):
        """Passes an answer on, as the fault has it."""
        writer = client[1]
        if method == "HEAD" or head[0].split(" ", 2)[1] in ("204", "304"):
            writer.write("\r\n".join([*head, "", ""]).encode("latin-1"))
            return await writer.drain()
        chunked = header(head, "content-length") is None
        outgoing = [*without(head, "transfer-encoding"), "Transfer-Encoding: chunked"] if chunked else head
        writer.write("\r\n".join([*outgoing, "", ""]).encode("latin-1"))
        await writer.drain()
        out = Body(self, client, chunked, fault)
        if events:
            self.watches += 1
            try:
                await relay_events(read_body(above, head), out, fault)
            finally:
                self.watches -= 1
        else:
            async for part in read_body(above, head):
                await out.send(part)
        await out.end()


async def relay_events(parts, out, fault):
    editor = fault.edit() if fault and fault.edit else None
    rest, sent, coming = b"", 0, None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(parts, None))
            await asyncio.wait({coming}, timeout=HOLD)
            out.require_client()
            lines = editor.held() if editor and not coming.done() else []
            if coming.done():
                part, coming = coming.result(), None
                if part is None:  # the end; what is not a whole line is passed on as it is
                    lines = [*(editor.held() if editor else []), *([rest] if rest else [])]
                    for line in lines:
                        await out.send(line)
                    return
                *whole, rest = (rest + part).split(b"\n")
                if len(rest) > LIMIT:
                    raise ValueError("an event is too long")
                for line in whole:
                    lines += editor.feed(line + b"\n") if editor else [line + b"\n"]
            for line in lines:
                if fault and fault.stall_after is not None and sent >= fault.stall_after:
                    await out.nothing_more()
                if fault and fault.end_after is not None and sent >= fault.end_after:
                    return
                await out.send(line)
                out.proxy.events += 1
                sent += 1
            if fault and fault.end_after is not None and sent >= fault.end_after:
                return
    finally:
        if coming:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


class Body:
    """The body of one answer on its way to the client."""

    def __init__(self, proxy, client, chunked, fault):
        self.proxy, (self.reader, self.writer), self.chunked, self.fault, self.sent = proxy, client, chunked, fault, 0

    def require_client(self):
        if self.reader.at_eof() or self.reader.exception() is not None or self.writer.transport.is_closing():
            raise Cut

    async def send(self, data):
        limit, rate = (self.fault.cut_after, self.fault.rate) if self.fault else (None, None)
        cut = limit is not None and self.sent + len(data) >= limit
        if cut:
            data = data[:limit - self.sent]
        step = len(data) if rate is None else max(1, int(rate / 20))
        for begin in range(0, len(data), step or 1):
            await self.proxy.stalled.wait()
            self.require_client()
            part = data[begin:begin + step]
            self.writer.write(b"%x\r\n%b\r\n" % (len(part), part) if self.chunked else part)
            await self.writer.drain()
            if rate is not None:
                await asyncio.sleep(len(part) / rate)
        self.sent += len(data)
        if cut:
            await asyncio.sleep(0.05)  # so that what was sent arrives before the end does
            raise Cut

    async def nothing_more(self):
        while True:
            self.require_client()
            await asyncio.sleep(HOLD)

    async def end(self):
        if self.chunked:
            self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


async def respond(writer, method, fault):
    lines = [f"HTTP/1.1 {fault.status} Injected", *(f"{name}: {value}" for name, value in fault.headers), f"Content-Length: {len(fault.body)}", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + (b"" if method == "HEAD" else fault.body))
    await writer.drain()


async def read_head(reader):
    """First line and header lines."""
    return (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")


def header(head, name):
    return next((value.strip().lower() for key, _, value in (line.partition(":") for line in head[1:]) if key.lower() == name), None)


def without(head, *names):
    return [head[0], *(line for line in head[1:] if line.partition(":")[0].lower() not in names)]


async def read_body(reader, head, request=False):
    """The parts of a body as they come, without the framing."""
    length = header(head, "content-length")
    if header(head, "transfer-encoding") == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            while size > 0:
                part = await reader.read(min(size, 65536))
                if not part:
                    raise EOFError
                size -= len(part)
                yield part
            await reader.readexactly(2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
    elif length is not None:
        left = int(length)
        if request and left > LIMIT:
            raise ValueError("the request is too large")
        while left > 0:
            part = await reader.read(min(left, 65536))
            if not part:
                raise EOFError
            left -= len(part)
            yield part
    elif not request:
        while part := await reader.read(65536):
            yield part
