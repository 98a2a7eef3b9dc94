"""Removals that are too many at once, on a real API server and with PackageRev objects (--cache=cr)."""
from harness.git import package
from harness.wait import wait_for

from test_kube_cr import Mirrored


class Held(Mirrored):
    def condition(self):
        return next((c for c in self.get()["status"].get("conditions", []) if c["type"] == "DeletionHeld"), None)

    def test_packages_stay_until_the_permit_that_is_shown_is_given(self):
        daemon = self.start()
        many = {path: text for n in range(15) for path, text in package(f"p{n}").items()}
        self.git.commit("main", many)
        self.cluster.apply(self.manifest())
        names = ["r.one.main", "r.one.v1"] + [f"r.p{n}.main" for n in range(15)]
        self.wait_objects(names)
        self.git.commit("main", {path: None for path in many})
        held = wait_for(lambda: (c := self.condition()) and c["message"].startswith("15 of 17 ") and c, "the condition", pause=0.2)
        self.assertEqual((held["status"], held["reason"]), ("True", "TooManyRemovals"))
        permit = self.get()["status"]["deletionPermit"]
        self.assertIn(f"kubectl annotate repository r -n {self.namespace} --overwrite veranda.dev/allow-deletion={permit})", held["message"])
        self.wait_reason("Ready")
        wait_for(lambda: [e for e in self.events("DeletionHeld") if e["type"] == "Warning"], "a warning", pause=0.2)
        self.assertEqual(set(self.objects()), set(names))
        # A restarted daemon holds what its predecessor held, and has no news.
        daemon.kill()
        daemon = self.start()
        self.cluster.kubectl("annotate", "repository", "r", "-n", self.namespace, "--overwrite", "veranda.dev/allow-deletion=15-000000000000")
        self.cluster.kubectl("annotate", "repository", "r", "-n", self.namespace, "veranda.dev/sync-requested-at=now")
        wait_for(lambda: self.get()["status"].get("lastHandledSyncRequest") == "now", "the sync", pause=0.2)
        self.assertEqual(set(self.objects()), set(names))
        self.assertEqual(self.get()["status"]["deletionPermit"], permit)
        # The command that the condition shows.
        self.cluster.kubectl("annotate", "repository", "r", "-n", self.namespace, "--overwrite", f"veranda.dev/allow-deletion={permit}")
        self.wait_objects(["r.one.main", "r.one.v1"])
        wait_for(lambda: self.condition() is None, "the end of the hold", pause=0.2)
        self.assertNotIn("deletionPermit", self.get()["status"])
        wait_for(lambda: self.events("DeletionHeldEnded"), "an event", pause=0.2)
        daemon.stop()
