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

    def test_metric_names_are_the_documented_ones(self):
        status, text = self.running.http("/metrics")
        live = set(re.findall(r"^# TYPE (\S+)", text, re.M))
        documented = set(re.findall(r"^\| `(veranda_\w+)", (REPOSITORY / "docs/metrics.md").read_text(), re.M))
        self.assertTrue(live)
        self.assertEqual(live, documented)


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
