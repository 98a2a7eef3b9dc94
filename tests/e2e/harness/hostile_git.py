"""A git server that means harm: it speaks just enough of smart HTTP to be listened to."""
import http.server
import pathlib
import socketserver
import struct
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from bomb_packs import BLOB, COMMIT, ID_DELTA, TREE, Pack, commit, entry, head, number  # noqa: E402

ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
RESULT = "application/x-git-upload-pack-result"
MIB = 1 << 20


def packet(text):
    text = text if isinstance(text, bytes) else text.encode()
    return b"%04x" % (len(text) + 4) + text


def on_band(band, data):
    """A pack, or messages, in side-band packets."""
    return b"".join(packet(bytes([band]) + data[at:at + 60_000]) for at in range(0, len(data), 60_000))


class Contents:
    """A pack in the making, from which a whole remote hangs. No object is in it twice."""

    def __init__(self):
        self.pack, self.known = Pack(), {}

    def add(self, *what):
        if what not in self.known:
            self.known[what] = self.pack.add(*what)
        return self.known[what]

    def blob(self, text, zeros=0):
        return self.add(BLOB, text if isinstance(text, bytes) else text.encode(), zeros)

    def tree(self, *entries, zeros=0):
        """Each entry: mode, name, id."""
        return self.add(TREE, b"".join(entry(mode.encode(), name if isinstance(name, bytes) else name.encode(), target) for mode, name, target in entries), zeros)

    def package(self, extra="", *entries):
        """A directory with a Kptfile."""
        return self.tree(("100644", "Kptfile", self.blob("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n" + extra)), *entries)

    def commit(self, tree):
        return self.add(COMMIT, commit(tree), 0).hex()

    def bytes(self):
        import hashlib
        body = b"PACK" + struct.pack(">II", 2, len(self.pack.entries)) + b"".join(self.pack.entries)
        return body + hashlib.sha1(body).digest()


class Remote:
    """An honest remote: `refs` (name to id, hexadecimal) and the `pack` that holds what they name. Attacks replace one of its answers."""

    def __init__(self, refs, pack=b""):
        self.refs, self.pack = refs, pack

    def advertise(self, out):
        out.begin(ADVERTISEMENT)
        out.send(packet("# service=git-upload-pack\n") + b"0000" + packet("version 2\n") + packet("ls-refs\n") + packet("fetch\n") + b"0000")

    def list(self, out):
        out.begin(RESULT)
        out.send(b"".join(packet(f"{target} {name}\n") for name, target in self.refs.items()) + b"0000")

    def fetch(self, out):
        out.begin(RESULT)
        out.send(packet("packfile\n") + on_band(1, self.pack) + b"0000")


def honest():
    """A remote with one package, whose answers an attack replaces."""
    c = Contents()
    tip = c.commit(c.tree(("40000", "pkg", c.package())))
    return Remote({"refs/heads/main": tip}, c.bytes())


class Gone(Exception):
    """The other side has had enough."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer("advertise")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer("list" if b"command=ls-refs" in body else "fetch")

    def answer(self, what):
        self.close_connection = True
        name = self.path.split("/")[1]
        with self.server.lock:
            self.server.seen.append((name, what, self.headers.get("Authorization", "")))
        try:
            getattr(self.server.remotes[name], what)(self)
        except (Gone, OSError):
            pass

    def begin(self, kind, status=200, **more):
        self.send_response(status)
        for key, value in {"Content-Type": kind, "Connection": "close", **more}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def send(self, data):
        if self.server.closing.is_set():
            raise Gone
        self.wfile.write(data)

    def trickle(self, data, pause):
        """Byte by byte, for ever if need be."""
        for at in range(len(data)):
            self.send(data[at:at + 1])
            if self.server.closing.wait(pause):
                raise Gone

    def log_message(self, *_):
        pass


class HostileGit(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves `remotes`, name to what answers for it, on loopback until closed."""
    daemon_threads = True
    block_on_close = False

    def __init__(self, remotes, address="127.0.0.1"):
        super().__init__((address, 0), Handler)
        self.remotes, self.seen, self.lock, self.closing = remotes, [], threading.Lock(), threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def url(self, name):
        return f"http://{self.server_address[0]}:{self.server_address[1]}/{name}"

    def close(self):
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        pass


__all__ = ["ADVERTISEMENT", "BLOB", "COMMIT", "Contents", "HostileGit", "ID_DELTA", "MIB", "RESULT", "Remote", "head", "honest", "number", "on_band", "packet", "time", "zlib"]
