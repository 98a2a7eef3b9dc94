"""Keys of Secrets that say how connections are made: client certificates and proxies, at servers that insist on them."""
from harness.case import Case, manifest, secret
from harness.connect_proxy import ConnectProxy
from harness.git_server import make_certificates


class ClientCertificates(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a/b", 1)
        self.git = self.server(tls=True, clients=True)
        self.url = f"{self.git.url}/r.git"
        self.write("r.yaml", manifest("r", self.url, secret="robot"))

    def pair(self, folder=None):
        folder = folder or self.git.folder
        return {"tls.crt": (folder / "client.crt").read_bytes(), "tls.key": (folder / "client.key").read_bytes()}

    def test_of_type_tls(self):
        self.write("secrets.yaml", secret("robot", "kubernetes.io/tls", {**self.pair(), "ca.crt": self.git.ca}))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.assertEqual(set(daemon.revisions("r")), {"r.a.b.v1", "r.a.b.main"})
        self.remote.publish("a/b", 2)
        daemon.cli("sync", "r", "--wait")
        self.assertIn("r.a.b.v2", daemon.revisions("r"))
        line = (self.git.folder / "client.key").read_text().splitlines()[1]
        self.assertGreater(len(line), 40)
        self.assertNotIn(line, daemon.log() + daemon.cli("dump", "-o", "json") + daemon.cli("get", "repositories", "-o", "json"))
        for path in self.data.rglob("*"):
            if path.is_file():
                self.assertNotIn(line.encode(), path.read_bytes(), path)

    def test_beside_a_user(self):
        both = self.server(tls=True, clients=True, users={"robot": "pa55:word"})
        self.write("r.yaml", manifest("r", f"{both.url}/r.git", secret="robot"))
        self.write("secrets.yaml", secret("robot", "kubernetes.io/basic-auth", {"username": "robot", "password": "pa55:word", "ca.crt": both.ca, **self.pair(both.folder)}))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.write("secrets.yaml", secret("robot", "kubernetes.io/basic-auth", {"username": "robot", "password": "wrong", "ca.crt": both.ca, **self.pair(both.folder)}))
        self.assertIn("(auth_rejected)", daemon.wait_condition("r", "Error")["message"])

    def test_missing_wrong_and_then_right(self):
        self.write("secrets.yaml", secret("robot", "Opaque", {"bearerToken": "t", "ca.crt": self.git.ca}))
        daemon = self.daemon()
        daemon.wait_condition("r", "Error")
        other = self.folder / "other"
        other.mkdir()
        make_certificates(other)
        half = {"tls.crt": self.pair()["tls.crt"], "tls.key": self.pair(other)["tls.key"]}
        self.write("secrets.yaml", secret("robot", "kubernetes.io/tls", {**half, "ca.crt": self.git.ca}))
        self.assertIn("tls.key", self.told(daemon, "client certificate is not usable"))
        self.write("secrets.yaml", secret("robot", "kubernetes.io/tls", {**self.pair(), "ca.crt": self.git.ca}))
        daemon.wait_condition("r", "Ready")


class Proxies(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a/b", 1)

    def proxy(self, **more):
        proxy = ConnectProxy(**more)
        self.addCleanup(proxy.close)
        return proxy

    def test_to_an_https_server(self):
        git = self.server(tls=True, users={"robot": "pa55:word"})
        proxy = self.proxy()
        self.write("secrets.yaml", secret("robot", "kubernetes.io/basic-auth", {"username": "robot", "password": "pa55:word", "ca.crt": git.ca, "proxy": proxy.url}))
        self.write("r.yaml", manifest("r", f"{git.url}/r.git", secret="robot"))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.assertEqual(set(proxy.requests()), {f"CONNECT 127.0.0.1:{git.port}"})

    def test_alone_to_a_name_that_only_the_proxy_knows(self):
        git = self.server()
        proxy = self.proxy(resolve={"git.behind.invalid": "127.0.0.1"})
        self.write("secrets.yaml", secret("way", "Opaque", {"proxy": proxy.url}))
        self.write("r.yaml", manifest("r", f"http://git.behind.invalid:{git.port}/r.git", secret="way"))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.assertEqual(set(daemon.revisions("r")), {"r.a.b.v1", "r.a.b.main"})
        self.assertTrue(all(f"http://git.behind.invalid:{git.port}/r.git/" in line for line in proxy.requests()), proxy.requests())

    def test_one_that_wants_a_user(self):
        git = self.server(tls=True)
        proxy = self.proxy(user=("clerk", "pa55-of-proxy"))
        way = {"proxy": proxy.url, "proxyUsername": "clerk", "ca.crt": git.ca}
        self.write("r.yaml", manifest("r", f"{git.url}/r.git", secret="way"))
        self.write("secrets.yaml", secret("way", "Opaque", {**way, "proxyPassword": "wrong"}))
        daemon = self.daemon()
        self.assertIn("plain text", daemon.wait_condition("r", "Error")["message"])
        self.assertEqual(proxy.requests(), [])
        daemon.stop()
        daemon = self.daemon("--allow-plaintext-credentials")
        self.told(daemon, "the proxy of the secret (its key proxy) wants other credentials (HTTP 407)")
        self.assertNotIn(f"127.0.0.1:{proxy.port}", daemon.log() + daemon.cli("dump", "-o", "json"))
        self.write("secrets.yaml", secret("way", "Opaque", {**way, "proxyPassword": "pa55-of-proxy"}))
        daemon.wait_condition("r", "Ready")
        self.assertNotIn("pa55-of-proxy", daemon.log() + daemon.cli("dump", "-o", "json"))
