"""How servers may answer: redirects, old protocols, refusals, pages for people."""
from harness.case import Case, manifest, secret


class Answers(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a/b", 1)

    def test_refusals_have_their_class(self):
        server = self.server()
        rows = {"status/401": "auth_rejected", "status/403": "auth_rejected", "status/404": "not_found", "status/429": "throttled", "status/500": "unavailable",
                "status/502": "unavailable", "status/503": "unavailable", "circle": ""}
        for number, path in enumerate(rows):
            self.write(f"r{number}.yaml", manifest(f"r{number}", f"{server.url}/{path}/r.git"))
        self.write("page.yaml", manifest("page", f"{server.url}/html/r.git"))
        self.write("good.yaml", manifest("good", f"{server.url}/r.git"))
        daemon = self.daemon()
        for number, (path, word) in enumerate(rows.items()):
            with self.subTest(path):
                self.assertIn(f"({word}" if word else "redirect", daemon.wait_condition(f"r{number}", "Error")["message"])
        message = daemon.wait_condition("page", "Error")["message"]
        self.assertRegex(message.lower(), "git|html|content")
        self.assertNotIn("sign in", message, "bodies stay out of conditions")
        daemon.wait_condition("good", "Ready")
        self.assertGreater(daemon.metrics()['veranda_remote_listings_total{result="failure",error_class="wait"}'], 0)

    def test_throttled_then_allowed(self):
        server = self.server()
        self.write("r.yaml", manifest("r", f"{server.url}/status/503/r.git"))
        daemon = self.daemon("--health-check-frequency=1s")
        daemon.wait_condition("r", "Error")
        self.write("r.yaml", manifest("r", f"{server.url}/r.git"))
        daemon.wait_condition("r", "Ready")

    def test_a_server_without_protocol_v2(self):
        for number in range(30):
            self.remote.publish(f"p{number}", 1)
        server = self.server(v2=False)
        self.write("r.yaml", manifest("r", f"{server.url}/r.git"))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.remote.publish("late", 1)
        daemon.cli("sync", "r", "--wait")
        self.assertEqual(len(daemon.revisions("r")), 64)
        asked = len(server.requests())
        daemon.cli("sync", "r", "--wait")
        listing = server.requests()[asked:]
        self.assertTrue(listing)
        self.assertEqual([line for line in listing if '"POST ' in line], [], "what the server answers first is the listing; with protocol v2 it is asked for")

    def test_redirects(self):
        plain = self.server()
        here, there = self.server(), self.server(moved=plain.url)
        self.write("here.yaml", manifest("here", f"{here.url}/moved/r.git"))
        self.write("there.yaml", manifest("there", f"{there.url}/moved/r.git"))
        daemon = self.daemon()
        for name in ("here", "there"):
            daemon.wait_condition(name, "Ready")
            self.assertEqual(len(daemon.revisions(name)), 2)
        self.remote.publish("late", 1)
        daemon.cli("sync", "there", "--wait")
        self.assertEqual(len(daemon.revisions("there")), 4)

    def test_redirects_carry_no_credentials_to_another_host(self):
        elsewhere = self.server(users={"robot": "pa55:word"})
        first = self.server(moved=elsewhere.url)
        self.write("secret.yaml", secret("robot", "kubernetes.io/basic-auth", {"username": "robot", "password": "pa55:word"}))
        self.write("r.yaml", manifest("r", f"{first.url}/moved/r.git", secret="robot"))
        daemon = self.daemon("--allow-plaintext-credentials")
        daemon.wait_condition("r", "Error")
        self.assertTrue(first.requests(), "the first server was asked")
        self.assertFalse([line for line in elsewhere.requests() if " robot " in line], "no credentials arrived elsewhere")

    def test_the_same_as_a_scan(self):
        self.remote.publish("c", 1, workspace="first")
        self.remote.publish("c", 2, workspace="second")
        self.remote.commit("drafts/c/third", {"c/x.yaml": "x: 1\n"}, start="refs/heads/main")
        self.remote.branch("deletionProposed/a/b/v1", "refs/heads/main")
        url = f"{self.server().url}/r.git"
        self.write("r.yaml", manifest("r", url))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.assert_as_scanned(daemon, "r", url)
        self.remote.publish("d/e", 1)
        self.remote.delete("refs/heads/deletionProposed/a/b/v1")
        daemon.cli("sync", "r", "--wait")
        self.assert_as_scanned(daemon, "r", url)
        daemon.cli("sync", "r", "--wait", "--full")
        self.assert_as_scanned(daemon, "r", url)
