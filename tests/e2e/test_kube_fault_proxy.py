"""The proxies that the tests put before API servers do to requests and events what they say; against a small server of Python."""
import http.client
import http.server
import json
import pathlib
import shutil
import ssl
import tempfile
import threading
import time
import unittest
import unittest.mock

from harness import fault_proxy, faults
from harness.fault_proxy import FaultProxy, TcpProxy
from harness.git_server import make_certificates
from harness.wait import wait_for

LARGE = json.dumps({"kind": "List", "filler": "x" * 300_000}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.heard.append((self.command, self.path))
        if "watch=true" in self.path:
            return self.stream()
        body = LARGE if self.path.startswith("/large") else json.dumps({"path": self.path, "authorization": self.headers.get("Authorization")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def do_POST(self):
        self.server.heard.append((self.command, self.path))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.server.count(1)
        try:
            for n in range(6):
                line = json.dumps({"type": "MODIFIED", "object": {"n": n}}).encode() + b"\n"
                half = len(line) // 2
                for part in (line[:half], line[half:]):  # chunks need not be lines
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                    self.wfile.flush()
            while "stay=true" in self.path:
                self.connection.settimeout(0.1)
                try:
                    if not self.connection.recv(1):
                        return
                except (TimeoutError, ssl.SSLWantReadError):
                    pass
            self.wfile.write(b"0\r\n\r\n")
        finally:
            self.server.count(-1)


class Upstream(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tls):
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard, self.streams, self.lock = [], 0, threading.Lock()  # requests; streams that are open
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def count(self, change):
        with self.lock:
            self.streams += change


class FaultProxyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-faults-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        make_certificates(cls.folder)
        cls.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        cls.tls.load_cert_chain(cls.folder / "server.crt", cls.folder / "server.key")
        cls.trust = ssl.create_default_context(cafile=str(cls.folder / "ca.crt"))

    def setUp(self):
        self.upstream = Upstream(self.tls)  # one for each test: requests of an earlier one may still be under way
        self.addCleanup(self.upstream.server_close)
        self.addCleanup(self.upstream.shutdown)
        self.proxy = FaultProxy(self.upstream.server_address[1], self.folder)
        self.addCleanup(self.proxy.close)

    def connect(self, port=None, seconds=60):
        connection = http.client.HTTPSConnection("127.0.0.1", port or self.proxy.port, timeout=seconds, context=self.trust)
        self.addCleanup(connection.close)
        return connection

    def ask(self, path, method="GET", body=None, connection=None):
        connection = connection or self.connect()
        connection.request(method, path, body, {"Authorization": "Bearer t"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def events(self, path="/events?watch=true"):
        """Numbers of the events that come, in order."""
        return [json.loads(line)["object"].get("n", json.loads(line)["object"].get("reason")) for line in self.ask(path)[1].splitlines()]

    def test_without_faults_nothing_changes(self):
        connection = self.connect()
        for _ in range(3):
            status, body = self.ask("/a?b=c", connection=connection)
            self.assertEqual((status, json.loads(body)), (200, {"path": "/a?b=c", "authorization": "Bearer t"}))
        self.assertEqual(self.ask("/large", connection=connection), (200, LARGE))
        self.assertEqual(self.ask("/a", "POST", b"y" * 200_000, connection), (201, b"y" * 200_000))
        self.assertEqual(self.ask("/a", "HEAD", connection=connection), (200, b""))
        self.assertEqual(self.events(), [0, 1, 2, 3, 4, 5])
        self.assertEqual(len(self.proxy.requests()), 7)
        self.assertEqual(len(self.proxy.requests("POST")), 1)
        self.assertEqual([(r.path, r.query) for r in self.proxy.requests(watch=True)], [("/events", "watch=true")])

    def test_answers_instead_of_the_server(self):
        for fault, status, text in ((faults.too_many_requests(times=1), 429, b"Too many requests"), (faults.server_error(502, times=1), 502, b"unable"),
                                    (faults.html(times=1), 200, b"<html>")):
            self.proxy.add(fault)
            answered, body = self.ask("/a")
            self.assertEqual(answered, status)
            self.assertIn(text, body)
            self.assertEqual(self.ask("/a")[0], 200)
        self.assertEqual(self.upstream.heard, [("GET", "/a")] * 3)
        self.assertEqual([r.fault for r in self.proxy.requests()], ["answer 429", "", "answer 502", "", "answer 200", ""])
        self.proxy.add(faults.event_error(410, "Expired"))
        self.assertEqual(self.events(), ["Expired"])
        self.assertEqual(self.ask("/events")[0], 200)

    def test_what_a_fault_fits(self):
        self.proxy.add(faults.answer(500, path="/b$", method="GET"))
        self.assertEqual([self.ask("/a")[0], self.ask("/b")[0], self.ask("/b?c")[0], self.ask("/b", "POST", b"")[0]], [200, 500, 200, 201])
        self.proxy.clear()
        some = self.proxy.add(faults.answer(500, share=0.5))
        connection = self.connect()
        count = sum(self.ask("/a", connection=connection)[0] == 500 for _ in range(100))
        self.assertTrue(25 < count < 75, count)
        self.proxy.remove(some)
        self.assertEqual(self.ask("/a")[0], 200)

    def test_requests_and_answers_that_are_lost(self):
        self.proxy.add(faults.Fault("refuse", refuse=True, times=1), faults.Fault("lose", lose=True, times=1))
        for heard in (0, 1):
            with self.assertRaises((http.client.HTTPException, OSError)):
                self.ask("/a", "POST", b"x")
            self.assertEqual(len(self.upstream.heard), heard)
        self.assertEqual(self.ask("/a", "POST", b"x")[0], 201)

    def test_bodies_that_are_cut_or_slow(self):
        self.proxy.add(faults.Fault("cut", cut_after=1000, times=1))
        connection = self.connect()
        connection.request("GET", "/large")
        answer = connection.getresponse()
        with self.assertRaises((http.client.IncompleteRead, OSError)) as raised:
            answer.read()
        if isinstance(raised.exception, http.client.IncompleteRead):
            self.assertEqual(len(raised.exception.partial), 1000)
        self.proxy.add(faults.Fault("slow", rate=300_000, times=1))
        begin = time.monotonic()
        self.assertEqual(self.ask("/large"), (200, LARGE))
        self.assertGreater(time.monotonic() - begin, 0.7)

    def test_events_are_doubled_swapped_and_put_in(self):
        self.proxy.add(faults.Fault("duplicate", edit=faults.duplicate, times=1), faults.Fault("swap", edit=faults.swap, times=1),
                       faults.Fault("inject", edit=faults.inject(b'{"type":"BOOKMARK","object":{"n":9}}\n'), times=1))
        self.assertEqual(self.events(), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
        with unittest.mock.patch.object(fault_proxy, "HOLD", 60):  # however slowly they come
            self.assertEqual(self.events(), [1, 0, 3, 2, 5, 4])
        self.assertEqual(self.events(), [9, 0, 1, 2, 3, 4, 5])
        self.assertEqual(self.events(), [0, 1, 2, 3, 4, 5])

    def test_streams_that_end_early(self):
        self.proxy.add(faults.Fault("end", end_after=2, times=1), faults.Fault("cut", cut_after=60, watch=True, times=1))
        connection = self.connect()
        status, body = self.ask("/events?watch=true", connection=connection)
        self.assertEqual([json.loads(line)["object"]["n"] for line in body.splitlines()], [0, 1])
        self.assertEqual(self.ask("/a", connection=connection)[0], 200, "the connection goes on")
        connection.request("GET", "/events?watch=true")
        answer = connection.getresponse()
        with self.assertRaises((http.client.IncompleteRead, OSError)):
            answer.read()

    def test_streams_that_stall_or_are_cut_from_outside(self):
        self.proxy.add(faults.Fault("stall", stall_after=2, times=1))
        for wanted in (2, 6):
            answer = self.open_stream()
            lines = [answer.readline() for _ in range(wanted)]
            self.assertEqual([json.loads(line)["object"]["n"] for line in lines], list(range(wanted)))
            self.assertEqual(self.proxy.watches, 1)
            self.assertEqual(self.proxy.cut(), 1)
            self.assertRaises((http.client.IncompleteRead, OSError), self.read_all, answer)
            wait_for(lambda: self.proxy.watches == 0 and self.upstream.streams == 0, "the end of the streams on both sides")

    def test_a_client_that_leaves_is_noticed(self):
        answer = self.open_stream()
        answer.readline()
        answer.close()
        self.stream.close()
        wait_for(lambda: self.proxy.connections() == 0 and self.upstream.streams == 0, "the end of the streams on both sides")

    def open_stream(self):
        self.stream = self.connect()
        self.stream.request("GET", "/events?watch=true&stay=true")
        return self.stream.getresponse()

    def read_all(self, answer):
        """All that comes; a stream that ends without saying so is an error."""
        while answer.readline():
            pass
        raise http.client.IncompleteRead(b"")

    def test_a_pulled_cable(self):
        connection = self.connect()
        self.assertEqual(self.ask("/a", connection=connection)[0], 200)
        connection.sock.settimeout(0.5)
        self.proxy.stall()
        with self.assertRaises(TimeoutError):
            self.ask("/a", connection=connection)
        self.proxy.flow()
        self.assertEqual(self.ask("/a")[0], 200)

    def test_bytes_as_they_are(self):
        proxy = TcpProxy(self.upstream.server_address[1])
        self.addCleanup(proxy.close)
        connection = self.connect(proxy.port)
        self.assertEqual(self.ask("/large", connection=connection), (200, LARGE))
        self.assertEqual(proxy.connections(), 1)
        self.assertEqual(proxy.cut(), 1)
        with self.assertRaises((http.client.HTTPException, OSError)):
            self.ask("/a", connection=connection)
        slow = TcpProxy(self.upstream.server_address[1], rate=300_000)
        self.addCleanup(slow.close)
        begin = time.monotonic()
        self.assertEqual(self.ask("/large", connection=self.connect(slow.port)), (200, LARGE))
        self.assertGreater(time.monotonic() - begin, 0.7)
