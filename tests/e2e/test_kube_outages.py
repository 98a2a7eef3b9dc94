"""What a cluster goes through with the daemon beside it: a restored backup, outdated positions, an end amid many changes, clocks that are wrong."""
import datetime
import json

from harness.daemon import BIN, KubeDaemon, query
from harness.fault_proxy import FaultProxy
from harness.git import package
from harness.machine import Machine
from harness.wait import wait_for

from test_kube_sync import Synced

HOUR = 3600


class Outages(Synced):
    def names(self):
        """Those who have package revisions in the database."""
        return {name for name, in query(self.data, "SELECT DISTINCT r.name FROM revisions v JOIN repositories r ON r.id = v.repository")}

    def maps(self, count):
        """Changes that are none of the daemon's business, and move positions."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        self.cluster.expect_all("POST", [(path, {"metadata": {"generateName": "other-"}}) for _ in range(count)])

    def test_a_restored_backup(self):
        self.git.commit("next", package("two"), start="refs/heads/main")
        daemon = self.start()
        for name in ("r", "gone"):
            self.cluster.apply(self.manifest(name))
            self.wait_reason("Ready", name)
        backup = self.cluster.backup()
        # All of this is undone, with positions that the daemon has seen beyond.
        self.maps(200)
        self.cluster.patch(f"{self.repositories}/r", {"spec": {"git": {"branch": "next"}}})
        self.cluster.kubectl("delete", "repository", "gone", "-n", self.namespace, "--timeout=60s")
        self.cluster.apply(self.manifest("made"))
        self.wait_reason("Ready", "made")
        wait_for(lambda: self.get()["status"]["gitCommitHash"] == self.git.resolve("next"), "the sync of the other branch")
        wait_for(lambda: self.names() == {"r", "made"}, "rows of those that there are")
        self.git.publish("three", "v1")  # so that no status of the backup is right
        self.cluster.restore(backup)
        self.assertEqual((self.get()["spec"]["git"]["branch"], self.cluster.request("GET", f"{self.repositories}/made")[0]), ("main", 404))
        for name in ("r", "gone"):
            found = wait_for(lambda of=name: (o := self.get(of))["status"]["gitCommitHash"] == self.git.resolve("main") and o, f"the status of {name}\n{daemon.log()[-2000:]}", 120, 0.1)
            self.assertEqual((found["status"]["conditions"][0]["status"], found["status"]["packageCount"]), ("True", 4))
            self.assertEqual(found["status"]["conditions"][0]["observedGeneration"], found["metadata"]["generation"])
        wait_for(lambda: self.names() == {"r", "gone"}, "rows of those that there are again")
        # What happens from here on is seen, although positions have been there before.
        self.cluster.patch(f"{self.repositories}/r", {"spec": {"git": {"branch": "next"}}})
        wait_for(lambda: self.get()["status"]["gitCommitHash"] == self.git.resolve("next"), "the sync of the other branch")
        self.assertEqual(daemon.stop(), 0)

    def test_hundreds_of_changes_while_the_api_server_ends_and_begins(self):
        self.git.commit("main", {path: text for n in range(200) for path, text in package(f"d{n}/app").items()})
        self.git.commit("next", package("d0/more"), start="refs/heads/main")
        daemon = self.start()
        path = lambda n: f"{self.repositories}/r{n}"
        made = lambda n: (self.repositories, self.manifest(f"r{n}", directory=f"d{n}"))
        self.cluster.expect_all("POST", [made(n) for n in range(150)])
        self.cluster.expect_all("PATCH", [(path(n), {"spec": {"git": {"branch": "next"}}}) for n in range(60)], content_type="application/merge-patch+json")
        self.cluster.expect_all("DELETE", [(path(n), None) for n in range(100, 125)])
        self.cluster.restart()
        self.cluster.expect_all("DELETE", [(path(n), None) for n in range(125, 150)])
        self.cluster.expect_all("PATCH", [(path(n), {"spec": {"git": {"branch": "next"}}}) for n in range(60, 80)], content_type="application/merge-patch+json")
        self.cluster.expect_all("POST", [made(n) for n in range(150, 200)])
        commits = {branch: self.git.resolve(branch) for branch in ("main", "next")}
        wanted = {f"r{n}": ("True", commits["next" if n < 80 else "main"], 2 if n == 0 else 1, True) for n in (*range(100), *range(150, 200))}

        def seen(item):
            ready, status = item.get("status", {}).get("conditions", [{}])[0], item.get("status", {})
            return ready.get("status"), status.get("gitCommitHash"), status.get("packageCount"), ready.get("observedGeneration") == item["metadata"]["generation"]

        def differ():
            found = {item["metadata"]["name"]: seen(item) for item in self.cluster.expect("GET", self.repositories)["items"]}
            return {name: (found.get(name), wanted.get(name)) for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)}
        try:
            wait_for(lambda: not differ(), "the right status of each", 120, 0.5)
        except AssertionError as failed:
            raise AssertionError(f"{failed}: {dict(list(differ().items())[:10])}\n{daemon.log()[-3000:]}") from None
        wait_for(lambda: self.names() == set(wanted), "rows of those that there are")
        self.assertEqual(daemon.stop(), 0)


class Compacted(Synced):
    options = {"watch_cache": False}

    def test_a_position_that_is_too_old_is_followed_by_a_new_list(self):
        proxy = FaultProxy.before(self.cluster)
        self.addCleanup(proxy.close)
        daemon = self.start(server=proxy.url)
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        lists = lambda: proxy.requests("GET", r"/repositories(\?|$)", watch=False)
        watches = lambda: proxy.requests("GET", r"/repositories\?", watch=True)
        proxy.forget()
        proxy.cut()
        wait_for(watches, "a watch from where the last one ended")
        self.cluster.apply(self.manifest("late"))
        self.wait_reason("Ready", "late")
        self.assertEqual(lists(), [], "a position that is good needs no list")
        proxy.stall()
        self.cluster.apply(self.manifest("later"))
        self.cluster.expect("DELETE", f"{self.repositories}/r")
        self.cluster.expect("POST", f"/api/v1/namespaces/{self.namespace}/configmaps", {"metadata": {"name": "other"}})
        self.cluster.compact()
        proxy.cut()
        proxy.flow()
        self.wait_reason("Ready", "later")
        self.assertNotEqual(lists(), [], "the position was outdated")
        wait_for(lambda: self.cluster.request("GET", f"{self.repositories}/r")[0] == 404, "the end of the deleted one")
        self.assertEqual(daemon.stop(), 0)


class Clocks(Synced):
    def setUp(self):
        super().setUp()
        if b"__asan_init" in (BIN / "verandad").read_bytes():
            self.skipTest("a daemon with AddressSanitizer reads the real clock")

    def config(self):
        """A kubeconfig that trusts any certificate: whether one is valid yet is not asked here."""
        file = self.cluster.kubeconfig(namespace=self.namespace)
        document = json.loads(file.read_text())
        document["clusters"][0]["cluster"] = {"server": self.cluster.url, "insecure-skip-tls-verify": True}
        file.write_text(json.dumps(document))
        return file

    def check(self, ahead):
        machine = Machine(self.folder, self.data)
        machine.say(ahead=ahead)
        config = self.config()
        flags = ("--health-check-frequency", "1s", "--repo-sync-frequency", "1h", "--namespace", self.namespace, "--leader-elect")
        daemon = KubeDaemon(config, self.data, *flags, environment=machine.environment)
        self.addCleanup(daemon.kill)
        self.cluster.apply(self.manifest())
        found = self.wait_reason("Ready")
        told = datetime.datetime.fromisoformat(found["status"]["lastFullSyncTime"].replace("Z", "+00:00"))
        apart = (told - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        self.assertLess(abs(apart - ahead), HOUR / 2, "its clock is as wrong as it should be")
        # A request is made with our clock; it is new whatever the time in it.
        self.git.publish("one", "v2")
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.cluster.patch(f"{self.repositories}/r", {"metadata": {"annotations": {"veranda.dev/sync-requested-at": stamp}}})
        wait_for(lambda: (s := self.get()["status"]).get("lastHandledSyncRequest") == stamp and s["gitCommitHash"] == self.git.resolve("main"), "the sync that was asked for")
        # Another replica, whose clock is right, does not take the Lease, and the clock is put right.
        other = KubeDaemon(config, self.folder / "other", *flags)
        self.addCleanup(other.kill)
        wait_for(lambda: "[+]leader election: standby; " in other.http("/readyz?verbose")[1], "the other to stand by")
        renewed = lambda: self.cluster.expect("GET", f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/veranda")["spec"]
        before = renewed()
        wait_for(lambda: renewed()["renewTime"] != before["renewTime"], "a renewal")
        machine.say(ahead=0)
        self.git.publish("one", "v3")
        wait_for(lambda: self.get()["status"]["gitCommitHash"] == self.git.resolve("main"), "what is new to be found with the right clock")
        self.assertEqual((renewed()["holderIdentity"], renewed()["leaseTransitions"]), (before["holderIdentity"], 0))
        self.assertEqual(other.stop(), 0)
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=60s")
        self.assertEqual(daemon.stop(), 0)

    def test_an_hour_ahead(self):
        self.check(HOUR)

    def test_an_hour_behind(self):
        self.check(-HOUR)
