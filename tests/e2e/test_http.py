"""Remotes over http and https: git-http-backend behind nginx, a private CA, basic authentication."""
from harness.case import Case, manifest, secret
from harness.daemon import veranda
from harness.wait import wait_for


class Https(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a/b", 1)
        self.git = self.server(tls=True, users={"robot": "pa55:word"})
        self.url = f"{self.git.url}/r.git"

    def credentials(self, password="pa55:word"):
        return secret("robot", "kubernetes.io/basic-auth", {"username": "robot", "password": password})

    def ca(self):
        return secret("default-ca-bundle", "Opaque", {"ca.crt": self.git.ca})

    def test_private_ca_and_basic_authentication(self):
        self.write("secrets.yaml", self.credentials(), self.ca())
        self.write("r.yaml", manifest("r", self.url, secret="robot"))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.assertEqual(set(daemon.revisions("r")), {"r.a.b.v1", "r.a.b.main"})
        self.remote.publish("a/b", 2)
        daemon.cli("sync", "r", "--wait")
        self.assertIn("r.a.b.v2", daemon.revisions("r"))
        everything = daemon.log() + daemon.cli("dump", "-o", "json") + daemon.cli("get", "repositories", "-o", "json")
        self.assertNotIn("pa55", everything)
        for path in self.data.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"pa55", path.read_bytes(), path)

    def test_without_the_ca_the_certificate_is_not_trusted(self):
        self.write("secrets.yaml", self.credentials())
        self.write("r.yaml", manifest("r", self.url, secret="robot"))
        daemon = self.daemon()
        self.assertRegex(daemon.wait_condition("r", "Error")["message"].lower(), "certificate|tls|ssl")
        self.write("secrets.yaml", self.credentials(), self.ca())
        daemon.wait_condition("r", "Ready")

    def test_a_changed_secret_starts_a_sync(self):
        self.write("secrets.yaml", self.credentials("wrong"), self.ca())
        self.write("r.yaml", manifest("r", self.url, secret="robot"))
        daemon = self.daemon()
        self.assertRegex(daemon.wait_condition("r", "Error")["message"].lower(), "401|auth|credential")
        self.write("secrets.yaml", self.credentials(), self.ca())
        daemon.wait_condition("r", "Ready")

    def test_a_rotated_secret_is_used_within_seconds_and_nothing_fails(self):
        self.git.set_users({"first": "pa55-one", "second": "pa55-two"})  # both are good for a while
        def use(user, password):
            self.write("secrets.yaml", secret("robot", "kubernetes.io/basic-auth", {"username": user, "password": password}), self.ca())

        use("first", "pa55-one")
        self.write("r.yaml", manifest("r", self.url, secret="robot"))
        daemon = self.daemon("--health-check-frequency=1h")  # nothing but the Secret's change can be why
        daemon.wait_condition("r", "Ready")
        self.assertFalse([line for line in self.git.requests() if " second " in line])
        use("second", "pa55-two")
        wait_for(lambda: [line for line in self.git.requests() if " second " in line], "a request with the new credentials", 10)
        seen = len(self.git.requests())
        self.git.set_users({"second": "pa55-two"})
        self.remote.publish("late", 1)
        daemon.cli("sync", "r", "--wait")
        self.assertIn("r.late.v1", daemon.revisions("r"))
        daemon.cli("sync", "r", "--wait", "--full")
        requests = self.git.requests()
        self.assertEqual([line for line in requests if '" 401 ' in line], [])
        self.assertEqual([line for line in requests[seen:] if " first " in line], [])
        self.assert_nothing_failed(daemon)

    def test_credentials_stay_off_plain_http(self):
        plain = self.server(users={"robot": "pa55:word"})
        self.write("secrets.yaml", self.credentials())
        self.write("r.yaml", manifest("r", f"{plain.url}/r.git", secret="robot"))
        daemon = self.daemon()
        self.assertIn("http", daemon.wait_condition("r", "Error")["message"].lower())
        self.assertFalse([line for line in plain.requests() if " robot " in line])
        daemon.stop()
        allowed = self.daemon("--allow-plaintext-credentials")
        allowed.cli("sync", "r", "--wait", status=None)
        allowed.wait_condition("r", "Ready")

    def test_one_fetch_for_many_repositories(self):
        server = self.server()
        for number in range(5):
            self.write(f"r{number}.yaml", manifest(f"r{number}", f"{server.url}/r.git", directory="a" if number % 2 else ""))
        daemon = self.daemon()
        for number in range(5):
            daemon.wait_condition(f"r{number}", "Ready")
        posts = [line for line in server.requests() if '"POST /r.git/git-upload-pack' in line]
        self.assertLessEqual(len(posts), 3, "a listing and a fetch for all of them: " + "\n".join(posts))


class Scan(Case):
    def test_what_would_be_found_without_a_daemon(self):
        remote = self.repository("r")
        remote.publish("a/b", 1)
        for url in (remote.path, f"{self.server().url}/r.git"):
            done = veranda("scan", url, "-o", "json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn('"a/b"', done.stdout)
        self.assertNotEqual(veranda("scan", "/no/such/repository").returncode, 0)
