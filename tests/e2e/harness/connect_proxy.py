"""A forward proxy as networks have them: CONNECT for https, whole URLs for http, with or without a user."""
import base64
import http.client
import http.server
import select
import socket
import threading
import urllib.parse

HOP = {"connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "transfer-encoding", "upgrade", "content-length", "host"}


class ConnectProxy:
    """On a free port of 127.0.0.1 until closed. `user`: name and password that clients must show. `resolve`: names to addresses, for hosts that exist behind the proxy only."""

    def __init__(self, user=None, resolve=None):
        self.wanted = "Basic " + base64.b64encode(":".join(user).encode()).decode() if user else None
        self.resolve = resolve or {}
        self.lock = threading.Lock()
        self.asked = []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def admitted(self, what):
                with proxy.lock:
                    proxy.asked.append(what)
                if proxy.wanted and self.headers.get("Proxy-Authorization") != proxy.wanted:
                    self.answer(407)
                    return False
                return True

            def answer(self, status, headers=(), body=b""):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_CONNECT(self):
                host, port = self.path.rsplit(":", 1)
                if not self.admitted("CONNECT " + self.path):
                    return
                self.close_connection = True
                with socket.create_connection((proxy.resolve.get(host, host), int(port)), 30) as there:
                    self.send_response(200)
                    self.end_headers()
                    relay(self.connection, there)

            def whole(self):
                if not self.admitted(f"{self.command} {self.path}"):
                    return
                url = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upstream = http.client.HTTPConnection(proxy.resolve.get(url.hostname, url.hostname), url.port or 80, timeout=60)
                try:
                    kept = {name: value for name, value in self.headers.items() if name.lower() not in HOP} | {"Host": url.netloc, "Content-Length": str(len(body))}
                    upstream.request(self.command, url.path + ("?" + url.query if url.query else ""), body or None, kept)
                    found = upstream.getresponse()
                    self.answer(found.status, [(n, v) for n, v in found.getheaders() if n.lower() not in HOP], found.read())
                finally:
                    upstream.close()

            do_GET = do_POST = whole

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def requests(self):
        with self.lock:
            return list(self.asked)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def relay(here, there):
    """Passes bytes both ways until either side ends."""
    while True:
        for ready in select.select([here, there], [], [], 60)[0] or [None]:
            data = ready.recv(65536) if ready else b""
            if not data:
                return
            (there if ready is here else here).sendall(data)
