"""What people see: tables, watches, cron previews, dump, probes, metrics."""
import json
import os
import pty
import re
import subprocess
import termios
import threading
import unittest

from harness import ROOT
from harness.case import Case, manifest
from harness.daemon import BIN, CLEAN, veranda, verandad
from harness.silent import Silent
from harness.wait import wait_for

VECTORS = ROOT / "tests/data/cron-vectors.json"


class Progress(Case):
    """`verandad --once`, which shows on a terminal what is going on."""

    def setUp(self):
        super().setUp()
        for number in range(3):
            remote = self.repository(f"r{number}")
            for package in range(10):
                remote.publish(f"a/rather/deep/package-{package}", 1)
            self.write(f"r{number}.yaml", manifest(f"repository-{number}", remote.path))
        self.arguments = ["--once", "--manifests", self.manifests, "--data-dir", self.data]

    def on_terminal(self, columns, term, status=0, seen="", then=None):
        """All that standard error showed on a terminal of that width; `then` is called when `seen` is there."""
        try:
            ours, theirs = pty.openpty()
        except OSError as why:  # a chroot without /dev/pts
            self.skipTest(f"no pseudo terminal here: {why}")
        termios.tcsetwinsize(theirs, (24, columns))
        process = subprocess.Popen([BIN / "verandad", *map(str, self.arguments)], env=CLEAN | {"TERM": term}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
                if then and seen.encode() in shown:
                    then()
                    then = None
        except OSError: # the other end is closed
            pass
        os.close(ours)
        self.assertEqual(process.wait(60), status)
        return shown.decode()

    def test_is_one_line_that_fits_and_gives_way_to_the_log(self):
        silent = Silent()
        self.addCleanup(silent.close)
        self.write("slow.yaml", manifest("slow", f"http://127.0.0.1:{silent.port}/x.git"))
        shown = self.on_terminal(40, "xterm", status=1, seen="3/4 repositories", then=silent.close)
        self.assertIn("3/4 repositories", shown)
        for line in shown.replace("\r\n", "\n").split("\n")[:-1]:
            self.assertRegex(line, r"\r\x1b\[K20\d\d-[^\r]*$", "a line of the log begins at the left")
            for progress in line.split("\r")[1:-1]:
                self.assertTrue(progress.endswith("\x1b[K"), progress)
                self.assertLess(len(progress.removesuffix("\x1b[K")), 40)
        self.assertRegex(shown.split("\n")[-1], r"^$|\r\x1b\[K$", "nothing is left of it")

    def test_is_not_shown_where_lines_cannot_be_erased(self):
        self.assertNotIn("\x1b", self.on_terminal(80, "dumb"))
        self.data = self.folder / "piped"
        done = verandad(*self.arguments)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assertNotIn("\r", done.stderr)


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
        wanted = {"watcher", "supervisor", "repository", "remote", "worker", "cache-writer", "object-store", "status-writer", "http", "api"}
        self.assertEqual(wanted - {actor["kind"] for actor in dump["actors"]}, set())
        self.assertIn("repository", self.running.cli("dump"))

    def test_metric_names_are_the_documented_ones(self):
        status, text = self.running.http("/metrics")
        live = set(re.findall(r"^# TYPE (\S+)", text, re.M))
        documented = set(re.findall(r"^\| `(veranda_\w+)", (ROOT / "docs/metrics.md").read_text(), re.M))
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
