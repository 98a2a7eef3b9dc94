"""When a sync starts: cron, one-time syncs, suspension; told by the object's status."""
import datetime

from harness.case import Case, manifest
from harness.wait import wait_for


def from_now(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Schedule(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a", 1)
        self.write("r.yaml", manifest("r", self.remote.path))
        self.running = self.daemon("--health-check-frequency=0")
        self.running.wait_condition("r", "Ready")

    def set(self, **more):
        self.write("r.yaml", manifest("r", self.remote.path, **more))

    def status(self):
        return self.running.repository("r")["status"]

    def has(self, revision):
        return f"r.a.v{revision}" in self.running.revisions("r")

    def nothing_new(self):
        """No sync has run since the last push: a further object on another remote, applied and synced later, is not overtaken."""
        other = self.repository("other")
        other.publish("o", 1)
        self.write("other.yaml", manifest("other", other.path))
        self.running.wait_condition("other", "Ready")
        self.assertFalse(self.has(2))

    def test_cron_expression_decides_the_next_sync_the_moment_it_changes(self):
        self.set(schedule="0 0 1 1 *")
        status = wait_for(lambda: (s := self.status()).get("nextFullSyncTime", "").endswith("-01-01T00:00:00Z") and s, "the cron time")
        self.assertIn(status["nextFullSyncTime"], status["conditions"][0]["message"])
        self.set(schedule="TZ=Asia/Tokyo 0 12 1 7 *")
        wait_for(lambda: self.status().get("nextFullSyncTime", "").endswith("-07-01T03:00:00Z"), "noon in Tokyo")
        self.assertIn("cron", self.running.cli("describe", "repository", "r"))
        self.set()
        wait_for(lambda: not self.status().get("nextFullSyncTime", "").endswith("-07-01T03:00:00Z"), "the default frequency")

    def test_cron_runs(self):
        self.set(schedule="@every 2s")
        self.remote.publish("a", 2)
        wait_for(lambda: self.has(2), "the cron run")

    def test_run_once(self):
        self.remote.publish("a", 2)
        soon = from_now(25)
        self.set(run_once_at=soon)
        wait_for(lambda: self.has(2), "the one-time sync")
        wait_for(lambda: self.status().get("observedRunOnceAt") == soon, "its mark in the status")
        self.assertEqual(self.running.repository("r")["spec"]["sync"]["runOnceAt"], soon)

    def test_run_once_moved_and_cleared(self):
        self.set(run_once_at=from_now(3600))
        wait_for(lambda: "scheduling one-time sync" in self.running.log(), "acceptance")
        self.remote.publish("a", 2)
        self.set(run_once_at=from_now(25))
        wait_for(lambda: self.has(2), "the moved one-time sync")
        self.remote.publish("a", 3)
        self.set(run_once_at=from_now(25))
        cleared = from_now(26)
        wait_for(lambda: self.running.log().count("scheduling one-time sync") == 3, "acceptance")
        self.set()
        wait_for(lambda: "is cancelled" in self.running.log(), "cancellation")
        wait_for(lambda: from_now(0) > cleared, "the time at which it would have run")
        self.assertFalse(self.has(3))

    def test_run_once_past_is_skipped_and_said(self):
        self.remote.publish("a", 2)
        self.set(run_once_at="2020-01-01T00:00:00Z")
        wait_for(lambda: "skipping one-time sync at 2020-01-01T00:00:00Z" in self.running.log(), "a word about it")
        self.nothing_new()

    def test_accepted_run_once_missed_while_down_runs_at_the_start(self):
        due = from_now(25)
        self.set(run_once_at=due)
        wait_for(lambda: "scheduling one-time sync" in self.running.log(), "acceptance")
        self.assertEqual(self.running.stop(), 0)
        wait_for(lambda: from_now(0) > due, "the planned time")
        self.remote.publish("a", 2)
        self.running = self.daemon("--health-check-frequency=0")
        wait_for(lambda: self.has(2) and self.status().get("observedRunOnceAt") == due, "the missed run")

    def test_suspended_is_not_synced(self):
        off = {"veranda.dev/suspend": "true"}
        self.write("s.yaml", manifest("s", self.remote.path, annotations=off))
        self.assertIn("veranda.dev/suspend", self.running.wait_condition("s", "Suspended")["message"])
        self.running.cli("sync", "r", "--wait")
        self.assertEqual(self.running.revisions("s"), {})
        self.write("s.yaml", manifest("s", self.remote.path))
        self.running.wait_condition("s", "Ready")
        self.write("s.yaml", manifest("s", self.remote.path, annotations=off))
        wait_for(lambda: "nextFullSyncTime" not in self.running.repository("s")["status"], "no next sync")
        self.assertEqual(set(self.running.revisions("s")), {"s.a.v1", "s.a.main"})

    def test_suspended_and_resumed_by_the_command_line(self):
        elsewhere = manifest("elsewhere", "https://git.example.invalid/x.git")
        self.write("elsewhere.yaml", elsewhere)
        wait_for(lambda: self.running.repository("elsewhere"), "the object of another host")
        self.assertEqual(self.running.cli("suspend", "r"), "repository.config.porch.kpt.dev/r suspended\n")
        wait_for(lambda: "nextFullSyncTime" not in self.status(), "no next sync")
        self.remote.publish("a", 2)
        self.assertEqual(self.running.cli("resume", "repository/r"), "repository.config.porch.kpt.dev/r resumed\n")
        wait_for(lambda: self.has(2), "the sync of the resumed one")
        self.assertEqual(self.running.cli("suspend", "--host", "GIT.example.invalid", "-A"), "repository.config.porch.kpt.dev/elsewhere -n default suspended\n")
        self.assertEqual(self.running.cli("suspend", "--host", "nowhere.invalid"), "")
        self.assertEqual(sorted(self.running.cli("resume", "--all").split()[0::2]), [f"repository.config.porch.kpt.dev/{name}" for name in ("elsewhere", "r")])
        for wrong in (["suspend"], ["suspend", "r", "--all"], ["resume", "--all", "--host", "h"], ["suspend", "r", "-A"], ["suspend", "packagerevision/r"]):
            self.running.cli(*wrong, status=2)
        self.running.cli("suspend", "absent", status=1)

    def test_one_time_sync_planned_by_the_command_line(self):
        self.running.cli("sync", "r", "--at", "2099-01-01T00:00:00Z", status=1)  # a file owns it
        own = self.folder / "own.yaml"
        own.write_text(manifest("own", self.remote.path))
        self.running.cli("apply", "-f", str(own))
        self.running.wait_condition("own", "Ready")
        self.assertIn("sync planned for 2099-01-01T00:00:00Z", self.running.cli("sync", "own", "--at", "2099-01-01T02:00:00+02:00"))
        self.assertEqual(self.running.repository("own")["spec"]["sync"]["runOnceAt"], "2099-01-01T00:00:00Z")
        for wrong in (["--at", "tomorrow"], ["--at", "2001-01-01T00:00:00Z"], ["--at", "2099-01-01T00:00:00Z", "--wait"]):
            self.running.cli("sync", "own", *wrong, status=2)


class Conflicts(Case):
    def test_reported_on_each_and_blocking_nobody(self):
        remote = self.repository("r")
        remote.publish("a/b", 1)
        self.write("r.yaml", manifest("root", remote.path), manifest("inside", remote.path, directory="a", namespace="team"), manifest("other", remote.path, branch="other"))
        daemon = self.daemon()
        for name, namespace, other in (("root", "default", "team/inside"), ("inside", "team", "default/root")):
            daemon.wait_condition(name, "Ready", namespace=namespace)
            conflicts = wait_for(lambda: [c for c in daemon.repository(name, namespace)["status"]["conditions"] if c["type"] == "RepositoryConflict"], f"the conflict of {name}")
            self.assertEqual([c["status"] for c in conflicts], ["True"])
            self.assertIn(other, conflicts[0]["message"])
        self.assertNotIn("RepositoryConflict", str(daemon.repository("other")["status"]))
        self.write("r.yaml", manifest("root", remote.path))
        wait_for(lambda: "RepositoryConflict" not in str(daemon.repository("root")["status"]), "the end of the conflict")
