"""What people see: tables, watches, cron previews, dump, probes, metrics."""
import json
import pathlib
import re
import threading
import unittest

from harness.case import Case, manifest
from harness.daemon import veranda
from harness.wait import wait_for

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
VECTORS = REPOSITORY / "tests/data/cron-vectors.json"


class CommandLine(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a/b", 1)
        self.write("r.yaml", manifest("r", self.remote.path))
        self.running = self.daemon()
        self.running.wait_condition("r", "Ready")

    def test_outputs(self):
        cli = self.running.cli
        table = cli("get", "repositories")
        self.assertRegex(table.splitlines()[0], r"^NAME\b")
        self.assertRegex(table, r"(?m)^r\b.*\bTrue\b")
        self.assertEqual(cli("get", "packagerevisions", "-o", "name").split(), sorted(cli("get", "packagerevisions", "-o", "name").split()))
        self.assertEqual(json.loads(cli("get", "repositories", "-o", "json"))["kind"], "RepositoryList")
        self.assertEqual(json.loads(cli("get", "packagerevisions", "-o", "json"))["kind"], "PackageRevisionList")
        self.assertIn("kind: ", cli("get", "packagerevisions", "-o", "yaml"))
        self.assertEqual(len(json.loads(cli("get", "packagerevisions", "-o", "json", "-l", "kpt.dev/latest-revision=true"))["items"]), 1)
        self.assertEqual(len(json.loads(cli("get", "packagerevisions", "-o", "json", "--field-selector", "spec.repository=nobody"))["items"]), 0)
        one = json.loads(cli("get", "packagerevisions", "r.a.b.v1", "-o", "json"))
        self.assertEqual(one["spec"]["packageName"], "a/b")
        cli("get", "packagerevisions", "no.such.revision", status=1)
        self.assertIn("Ready", cli("describe", "repository", "r"))

    def test_watch_shows_a_change(self):
        process = self.running.watch("get", "packagerevisions", "-w", "-o", "name")
        lines = []
        reader = threading.Thread(target=lambda: [lines.append(line) for line in process.stdout], daemon=True)
        reader.start()
        wait_for(lambda: any("r.a.b.v1" in line for line in lines), "the list")
        self.remote.publish("a/b", 2)
        self.running.cli("sync", "r", "--wait")
        wait_for(lambda: any("r.a.b.v2" in line for line in lines), "the change")
        process.terminate()
        process.wait(10)
        reader.join(10)
        process.stdout.close()
        process.stderr.close()

    def test_dump_shows_every_actor(self):
        dump = json.loads(self.running.cli("dump", "-o", "json"))
        text = json.dumps(dump)
        for kind in ("watcher", "supervisor", "repository", "remote", "worker", "cache-writer", "object-store", "status-writer", "http", "api"):
            self.assertIn(kind, text)
        self.assertIn("repository", self.running.cli("dump"))

    def test_probes_need_no_token_and_the_api_does(self):
        for path in ("/livez", "/readyz", "/metrics"):
            self.assertEqual(self.running.http(path, headers={"Authorization": ""})[0], 200, path)
        path = "/apis/config.porch.kpt.dev/v1alpha1/namespaces/default/repositories"
        self.assertEqual(self.running.http(path)[0], 200)
        self.assertEqual(self.running.http(path, headers={"Authorization": ""})[0], 401)
        self.assertEqual(self.running.http(path, headers={"Authorization": "Bearer wrong"})[0], 401)
        self.assertEqual(json.loads(self.running.http(path + "/none")[1])["kind"], "Status")
        self.assertGreaterEqual(self.running.http(path, headers={"Host": "evil.example.org"})[0], 400)

    def test_metric_names_are_the_documented_ones(self):
        status, text = self.running.http("/metrics")
        live = set(re.findall(r"^# TYPE (\S+)", text, re.M))
        documented = set(re.findall(r"^\| `(veranda_\w+)", (REPOSITORY / "docs/metrics.md").read_text(), re.M))
        self.assertTrue(live)
        self.assertEqual(live, documented)

    def test_suspended_is_not_synced(self):
        self.write("s.yaml", manifest("s", self.remote.path).replace("  name: s\n", '  name: s\n  annotations:\n    veranda.dev/suspend: "true"\n'))
        wait_for(lambda: self.running.repository("s"), "the object")
        self.running.cli("sync", "r", "--wait")
        self.assertEqual(self.running.revisions("s"), {})


class Cron(unittest.TestCase):
    def test_vectors(self):
        vectors = json.loads(VECTORS.read_text())
        self.assertGreater(len(vectors), 20)
        for vector in vectors:
            with self.subTest(vector["expr"]):
                wanted = [t for t in vector.get("next", []) if not t.startswith("0001-")]  # the zero time: never
                done = veranda("cron", "next", vector["expr"], "--from", vector["from"], "--tz", vector["from_tz"], "-n", max(1, len(wanted)), "-o", "json")
                answer = json.loads(done.stdout)
                if vector.get("error") or vector.get("panics"):
                    self.assertEqual(done.returncode, 1)
                    self.assertTrue(answer["error"])
                else:
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    self.assertEqual([instant(t) for t in answer["next"]], [instant(t) for t in wanted])


def instant(text):
    import datetime
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Schedule(Case):
    def test_cron_expression_decides_the_next_sync_the_moment_it_changes(self):
        remote = self.repository("r")
        remote.publish("a", 1)
        self.write("r.yaml", manifest("r", remote.path))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.write("r.yaml", manifest("r", remote.path, schedule="0 0 1 1 *"))
        status = wait_for(lambda: (s := daemon.repository("r")["status"]).get("nextFullSyncTime", "").endswith("-01-01T00:00:00Z") and s, "the cron time")
        self.assertIn(status["nextFullSyncTime"], status["conditions"][0]["message"])

    def test_run_once(self):
        import datetime
        remote = self.repository("r")
        remote.publish("a", 1)
        self.write("r.yaml", manifest("r", remote.path))
        daemon = self.daemon("--health-check-frequency=0")
        daemon.wait_condition("r", "Ready")
        remote.publish("a", 2)
        soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.write("r.yaml", manifest("r", remote.path, run_once_at=soon))
        wait_for(lambda: "r.a.v2" in daemon.revisions("r"), "the one-time sync")
        wait_for(lambda: daemon.repository("r")["status"].get("observedRunOnceAt") == soon, "its mark in the status")
        self.assertEqual(daemon.repository("r")["spec"]["sync"]["runOnceAt"], soon)
