"""What is beyond a limit is named for as long as it is current, and comes when the limit is raised."""
from harness.case import Case, manifest
from harness.git import package
from harness.wait import wait_for


class TooLarge(Case):
    def degraded(self, daemon):
        return [c["message"] for c in daemon.repository("r")["status"]["conditions"] if c["type"] == "PackagesDegraded" and c["status"] == "True"]

    def files(self, daemon, name):
        return daemon.items("packagerevisionresources")[[r["metadata"]["name"] for r in daemon.items("packagerevisionresources")].index(name)]["spec"]["resources"]

    def test_a_large_file_is_named_by_every_sync_until_it_fits(self):
        remote = self.repository("r")
        remote.publish("web", 1)
        large = "large: " + "x" * 5000 + "\n"
        remote.commit("main", {"db/large.yaml": large, **package("db")})
        self.write("r.yaml", manifest("r", remote.path))
        daemon = self.daemon("--max-resource-bytes", "4Ki")
        daemon.wait_condition("r", "Ready")
        named = ["1 item is not, or not wholly, in the cache: refs/heads/main:db/large.yaml: is larger than 4096 bytes; its content is not kept"]
        self.assertEqual(self.degraded(daemon), named)
        remote.publish("web", 2)
        daemon.cli("sync", "r", "--wait")
        self.assertIn("r.web.v2", daemon.revisions("r"))
        self.assertEqual(self.degraded(daemon), named)
        self.assertNotIn("large.yaml", self.files(daemon, "r.db.main"))
        self.assertEqual(daemon.stop(), 0)

        daemon = self.daemon("--max-resource-bytes", "8Ki")  # nothing is pushed meanwhile
        wait_for(lambda: not self.degraded(daemon), "the condition to go")
        self.assertEqual(self.files(daemon, "r.db.main")["large.yaml"], large)
        self.assertEqual(daemon.stop(), 0)

        daemon = self.daemon("--max-resource-bytes", "4Ki")  # what is stored stays
        daemon.wait_condition("r", "Ready")
        remote.publish("web", 3)
        daemon.cli("sync", "r", "--wait")
        self.assertIn("r.web.v3", daemon.revisions("r"))
        self.assertEqual(self.degraded(daemon), [])
        self.assertEqual(self.files(daemon, "r.db.main")["large.yaml"], large)
