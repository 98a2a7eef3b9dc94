"""Private remotes with Secrets of a real API server: missing, made later, rotated, of no use, forbidden; and that nothing tells what is in them."""
import base64
import itertools
import time

from harness.fault_proxy import FaultProxy
from harness.wait import stays, wait_for

from test_kube_sync import EVERY, REPOSITORIES, Synced

SOON = 90  # seconds, for what takes at most some 10 on a machine that has nothing else to do
ONE, TWO, OTHER = "pa55-first-word", "pa55-second-word", "pa55-in-a-token"


class Private(Synced):
    users = {"robot": []}

    def setUp(self):
        super().setUp()
        self.private = self.server(tls=True, users={"robot": ONE})
        self.url = self.private.url + "/r.git"
        self.secrets = f"/api/v1/namespaces/{self.namespace}/secrets"
        self.count = itertools.count(1)

    def secret(self, data, kind="kubernetes.io/basic-auth", name="git"):
        """Makes it, or makes it another."""
        encoded = {key: base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode() for key, value in data.items()}
        self.cluster.request("DELETE", f"{self.secrets}/{name}")
        self.cluster.expect("POST", self.secrets, {"metadata": {"name": name}, "type": kind, "data": encoded})

    def good(self, password=ONE, **more):
        self.secret({"username": "robot", "password": password, "ca.crt": self.private.ca, **more})

    def apply(self, name="r"):
        self.cluster.apply(self.manifest(name, secretRef={"name": "git"}))

    def message(self, text, name="r", seconds=120):
        """The condition once it says so."""
        return wait_for(lambda: (lambda c: c if text in c["message"] else None)(self.wait_reason("Error", name, seconds)["status"]["conditions"][0]), text, seconds, 0.2)["message"]

    def sync(self, name="r"):
        self.cluster.patch(f"{self.repositories}/{name}", {"metadata": {"annotations": {"veranda.dev/sync-requested-at": f"{time.time()}-{next(self.count)}"}}})

    def assert_untold(self, daemon, *words):
        """None of these words is anywhere but in the Secret."""
        forms = [form for word in words for form in (word.encode(), base64.b64encode(word.encode()), base64.b64encode(b"robot:" + word.encode()))]
        told = {"log": daemon.log().encode(), "metrics": daemon.http("/metrics")[1].encode(), "dump": daemon.http("/dump")[1].encode(),
                "objects": self.cluster.kubectl("get", REPOSITORIES + ",events", "-n", self.namespace, "-o", "json").encode()}
        self.assertGreater(len(told["dump"]), 1000)
        for path in self.data.rglob("*"):
            if path.is_file():
                told[str(path)] = path.read_bytes()
        for place, text in told.items():
            for form in forms:
                self.assertNotIn(form, text, f"{form} in {place}")


class Life(Private):
    def test_missing_then_made_then_rotated_then_gone(self):
        daemon = self.start()
        self.apply()
        self.cluster.apply({**self.manifest("open"), "spec": {"type": "git", "git": {"repo": self.server().url + "/r.git", "branch": "main"}}})
        message = self.message("(dependency_missing)")
        self.assertIn(f"Secret {self.namespace}/git", message)
        self.wait_reason("Ready", "open")
        # Made: whoever waited for it syncs.
        self.good()
        self.wait_reason("Ready", seconds=SOON)
        # Rotated, the server first: it is refused until the Secret follows.
        self.private.set_users({"robot": TWO})
        self.git.publish("two", "v1")
        self.sync()
        message = self.message("(auth_rejected)")
        self.good(TWO)
        found = self.wait_reason("Ready", seconds=SOON)
        self.assertEqual(found["status"]["packageCount"], 4)
        # Rotated, the Secret first: the next sync uses it.
        self.private.set_users({"robot": ONE})
        self.good(ONE)
        self.git.publish("three", "v1")
        self.sync()
        wait_for(lambda: self.wait_reason("Ready", seconds=SOON)["status"]["packageCount"] == 6, "the packages", SOON, 0.2)
        # Gone: what was read of it serves no more.
        self.cluster.expect("DELETE", f"{self.secrets}/git")

        def missed():
            self.sync()
            return "(dependency_missing)" in self.get()["status"]["conditions"][0]["message"]
        wait_for(missed, "what was read to serve no more", SOON, 2)
        self.assert_untold(daemon, ONE, TWO)
        self.assertEqual(daemon.stop(), 0)

    def test_one_get_serves_all_who_share_it(self):
        self.good()
        proxy = FaultProxy.before(self.cluster)
        self.addCleanup(proxy.close)
        begun = time.monotonic()
        self.start(server=proxy.url)
        names = [f"r{n}" for n in range(12)]
        for name in names:
            self.apply(name)
        for name in names:
            self.wait_reason("Ready", name)
        gets = len(proxy.requests("GET", "/secrets/git$"))
        self.assertTrue(1 <= gets <= 1 + (time.monotonic() - begun) / 5, gets)
        self.assertEqual({r.path for r in proxy.requests(path="/secrets")}, {f"{self.secrets}/git"}, "and nothing else is asked for")

    def test_those_that_are_of_no_use_say_why_and_heal(self):
        daemon = self.start()
        enormous = {"more": "x" * 900_000}
        table = (
            ("example.org/odd", {"username": "robot", "password": ONE}, "type"),
            ("Opaque", {}, "ssh-privatekey; proxy; ca.crt"),
            ("Opaque", {"password": OTHER}, "data.username"),
            ("Opaque", {"bearerToken": ""}, "data.bearerToken"),
            ("Opaque", {"bearerToken": OTHER + "\n" + OTHER}, "data.bearerToken"),
            ("Opaque", {"bearerToken": OTHER + "x" * 900_000}, "data.bearerToken"),
            ("kubernetes.io/basic-auth", {"username": "robot"}, "data.password"),
            ("kubernetes.io/basic-auth", {"username": "ro:bot", "password": ONE}, "data.username"),
            ("kubernetes.io/basic-auth", {"username": "robot", "password": ONE, "ca.crt": "none"}, "data.ca.crt"),
        )
        self.apply()
        for kind, data, field in table:
            with self.subTest(kind=kind, field=field, data=str(data)[:60]):
                self.secret(data, kind)
                time.sleep(5.5)  # it was read before
                self.sync()
                message = self.message(field)
                self.assertIn("(auth_rejected)", message)
                self.assertIn(f"Secret {self.namespace}/git", message)
        self.good(**enormous)
        self.wait_reason("Ready", seconds=SOON)
        self.assert_untold(daemon, ONE, OTHER)

    def test_a_right_that_is_missing_is_said_once_and_heals(self):
        self.grant("most", "get,list,watch,patch", f"{REPOSITORIES},{REPOSITORIES}/status")
        self.good()
        daemon = self.start(user="robot")
        for name in ("r", "s"):
            self.apply(name)
        for name in ("r", "s"):
            self.assertIn(f"grant get on secrets in namespace {self.namespace}", self.message("(auth_rejected)", name))
        stays(lambda: daemon.log().count("Secrets of a namespace cannot be read") == 1, "the missing right is said once", 12)
        self.grant("reader", "get", "secrets")
        for name in ("r", "s"):
            self.wait_reason("Ready", name, SOON)

    def test_a_restart_reads_it_anew(self):
        daemon = self.start()
        self.good()
        self.apply()
        self.wait_reason("Ready")
        self.assertEqual(daemon.stop(), 0)
        self.git.publish("two", "v1")
        self.start()
        self.sync()
        wait_for(lambda: self.wait_reason("Ready")["status"]["packageCount"] == 4, "the packages", 120, 0.2)


class Bundles(Private):
    def test_a_bundle_of_the_namespace_is_trusted_when_that_is_wanted(self):
        open_to_all = self.server(tls=True)
        self.url = open_to_all.url + "/r.git"
        self.secret({"ca.crt": open_to_all.ca}, "Opaque", f"{self.namespace}-ca-bundle")
        self.cluster.apply(self.manifest())
        daemon = self.start()
        self.message("(unreachable)")
        self.assertEqual(daemon.stop(), 0)
        self.start(*EVERY, "--namespace-ca-bundle")
        self.wait_reason("Ready")
