"""Where remotes may be, in a cluster: not on this machine, nor at a cloud's metadata, whatever they are called and whoever redirects there."""
from test_kube_sync import EVERY, Synced

ELSEWHERE = ("--allow-cidr", "192.0.2.0/24")  # instead of the loopback that the harness allows


class Addresses(Synced):
    def setUp(self):
        super().setUp()
        self.served = self.server()
        self.port = self.served.url.rsplit(":", 1)[1]

    def put(self, name, url):
        found = self.manifest(name)
        found["spec"]["git"]["repo"] = url
        self.cluster.apply(found)

    def refused(self, name):
        """The text of the refusal, which only a change of the object ends."""
        conditions = self.wait_reason("Error", name)["status"]["conditions"]
        stalled = [c for c in conditions if c["type"] == "Stalled"]
        self.assertEqual([(c["status"], c["reason"]) for c in stalled], [("True", "InvalidSpec")], conditions)
        return conditions[0]["message"]

    def test_refused_after_resolution_and_allowed_by_flag(self):
        daemon = self.start(*EVERY, *ELSEWHERE)
        self.put("literal", f"{self.served.url}/r.git")
        self.put("short", f"http://127.1:{self.port}/r.git")
        self.put("mapped", f"http://[::ffff:127.0.0.1]:{self.port}/r.git")
        self.put("name", f"http://localhost:{self.port}/r.git")
        self.put("metadata", "http://169.254.169.254/latest/r.git")
        allow = "its address 127.0.0.1 is refused (loopback); --allow-cidr 127.0.0.1/32 would allow it"
        self.assertIn(f"127.0.0.1:{self.port}: {allow}", self.refused("literal"))
        self.assertIn(f"127.1:{self.port}: {allow}", self.refused("short"))
        self.assertIn(f"[::ffff:127.0.0.1]:{self.port}: {allow}", self.refused("mapped"))
        self.assertRegex(self.refused("name"), rf"localhost:{self.port}: its address (127\.0\.0\.1|::1) is refused \(loopback\)")
        self.assertIn("169.254.169.254: its address 169.254.169.254 is refused (cloud metadata)", self.refused("metadata"))
        self.assertEqual([line for line in self.served.requests() if "r.git" in line], [])
        daemon.stop()
        self.start(*EVERY, "--allow-cidr", "127.0.0.0/8", "--allow-cidr", "169.254.0.0/16")
        for name in ("literal", "short", "mapped", "name"):
            self.wait_reason("Ready", name)
        self.assertIn("(cloud metadata)", self.refused("metadata"))

    def test_a_redirect_to_loopback(self):
        first = self.server(moved="http://127.0.0.9:" + self.port)
        self.put("moved", first.url + "/moved/r.git")
        self.put("direct", first.url + "/r.git")
        self.start(*EVERY, "--allow-cidr", "127.0.0.1/32")
        self.wait_reason("Ready", "direct")
        self.assertIn(f"the server redirects to 127.0.0.9:{self.port}: its address 127.0.0.9 is refused (loopback); --allow-cidr 127.0.0.9/32 would allow it", self.refused("moved"))
        self.assertEqual([line for line in self.served.requests() if "r.git" in line], [])

    def test_denied(self):
        self.start(*EVERY, "--deny-cidr", "127.0.0.0/16")
        self.put("r", f"{self.served.url}/r.git")
        self.assertIn("its address 127.0.0.1 is refused by --deny-cidr 127.0.0.0/16; --allow-cidr 127.0.0.1/32 would allow it", self.refused("r"))

    def test_paths_of_the_node(self):
        daemon = self.start()
        self.put("path", str(self.git_root / "r.git"))
        self.put("file", f"file://{self.git_root}/r.git")
        for name in ("path", "file"):
            self.assertIn("local paths are not allowed here", self.refused(name))
        daemon.stop()
        self.start(*EVERY, "--allow-local")
        for name in ("path", "file"):
            self.wait_reason("Ready", name)
