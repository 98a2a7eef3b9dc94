"""`veranda explain` and `veranda top`: what people ask at three in the morning."""
import http.server
import json
import os
import pty
import re
import shutil
import subprocess
import termios
import threading

from harness.case import Case, manifest
from harness.daemon import CLEAN, veranda
from harness.hostile_git import RESULT, HostileGit, honest, packet
from harness.wait import LONG, free_port, wait_for


class Explaining(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a", 1)
        self.write("r.yaml", manifest("r", self.remote.path, schedule="0 0 1 1 *"))
        self.running = self.daemon("--health-check-frequency=0")
        self.running.wait_condition("r", "Ready")

    def explain(self, name="r"):
        return json.loads(self.running.cli("explain", name, "-o", "json"))

    def test_one_in_step(self):
        told = self.explain()
        self.assertEqual((told["state"], told["next"]["cause"], told["revisions"], told["packages"]), ("ready", "cron", 2, 1))
        self.assertEqual([stamp[4:] for stamp in told["schedule"]["next"]], ["-01-01T00:00:00Z"] * 5)
        self.assertEqual(told["schedule"]["next"][0], told["next"]["time"])
        run = told["runs"][-1]
        self.assertEqual((run["cause"], run["outcome"], run["counts"]["externalOnly"]), ("start", "ok", 2))
        self.assertLessEqual(sum(run["phases"].values()), run["seconds"] + 0.01)
        self.assertEqual(list(run["phases"]), ["listing", "waiting", "fetch", "discovery", "apply"])
        text = self.running.cli("explain", "r")
        self.assertIn("State:          ready: the cache holds what the remote held at ", text)
        self.assertIn('by cron: cron expression "0 0 1 1 *"', text)
        self.assertIn("kind: RepositoryExplanation", self.running.cli("explain", "repository/r", "-o", "yaml"))

    def test_a_failing_one_says_why_what_to_do_and_when_it_is_tried_again(self):
        shutil.move(self.remote.path, str(self.remote.path) + ".away")
        self.running.cli("sync", "r", "--wait", status=1)
        told = self.explain()
        self.assertIn(told["state"], ("stalled", "retrying"))
        self.assertEqual(told["next"]["cause"], "retry")
        self.assertTrue(told["lastError"]["error"] and told["lastError"]["advice"])
        self.assertEqual(told["runs"][-1]["outcome"], "error")
        self.assertIn("What to do:", self.running.cli("explain", "r"))

    def test_a_suspended_one(self):
        self.running.cli("suspend", "r")
        told = wait_for(lambda: (e := self.explain())["state"] == "suspended" and e, "the suspension")
        self.assertNotIn("time", told["next"])
        self.assertEqual(len(told["schedule"]["next"]), 5)

    def test_runs_and_their_phases_survive_a_restart(self):
        self.remote.publish("a", 2)
        self.running.cli("sync", "r", "--wait")
        before = self.explain()["runs"]
        self.assertEqual(self.running.stop(), 0)
        self.running = self.daemon("--health-check-frequency=0")
        self.running.wait_condition("r", "Ready")
        after = wait_for(lambda: (runs := self.explain()["runs"])[len(before):] and runs, "the first sync after the restart")
        self.assertEqual([r["syncID"] for r in before], [r["syncID"] for r in after[:len(before)]])
        self.assertEqual([r["phases"]["discovery"] for r in before], [r["phases"]["discovery"] for r in after[:len(before)]])

    def test_the_last_twenty_runs_are_kept(self):
        for _ in range(22):
            self.running.cli("sync", "r", "--full", "--wait")
        runs = self.explain()["runs"]
        self.assertEqual([run["cause"] for run in runs], ["user"] * 20)
        self.assertEqual([run["started"] for run in runs], sorted(run["started"] for run in runs))
        for run in runs:
            self.assertEqual((run["outcome"], run["counts"]["both"]), ("ok", 2))
            self.assertGreater(run["seconds"], 0)
        self.assertEqual(len(re.findall(r"(?m)^  \d{4}-\S+ .* user ", self.running.cli("explain", "r"))), 20)

    def test_a_place_in_the_queue_and_its_cause(self):
        self.assertEqual(self.running.stop(), 0)
        hanging = honest()
        hanging.fetch = lambda out: (out.begin(RESULT), out.trickle(packet("packfile\n") * 1_000, 1))
        host = HostileGit({"x": hanging})
        self.addCleanup(host.close)
        self.write("hanging.yaml", manifest("hanging", host.url("x")))
        self.running = self.daemon("--max-concurrent-syncs=1", "--health-check-frequency=0")
        wait_for(lambda: any(what == "fetch" for _, what, _ in host.seen), "the fetch that hangs")
        self.remote.publish("a", 2)
        self.running.cli("sync", "r")
        told = wait_for(lambda: (e := self.explain()).get("queue") and e, "a place in the queue")
        self.assertEqual(told["state"], "queued")
        self.assertEqual(told["queue"], "number 1 of 1 that wait for a worker: all workers are busy")
        self.assertIn("Queue:          number 1 of 1 that wait for a worker: all workers are busy\n", self.running.cli("explain", "r"))
        self.assertEqual(self.explain("hanging")["state"], "syncing")

    def refused(self, *arguments):
        done = subprocess.run(self.running.command(*arguments), env=CLEAN, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.returncode, done.stderr

    def test_what_cannot_be_answered_is_one_clear_line(self):
        status, text = self.refused("explain", "nobody")
        self.assertEqual(status, 1)
        self.assertIn('"nobody" not found', text)
        self.assertEqual(self.refused("explain", "package/p")[0], 2)
        self.assertEqual(self.running.http("/explain")[0], 400)
        for command in (["explain", "r"], ["top"]):
            done = veranda("--server", f"http://127.0.0.1:{free_port()}", *command)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
            self.assertIn("is verandad running there?", done.stderr)

    def test_an_older_daemon_is_named_as_such(self):
        class Old(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b'{"kind": "Status", "status": "Failure", "message": "the server could not find the requested resource", "reason": "NotFound", "code": 404}'
                self.send_response(404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Old)
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(server.shutdown)
        for command in (["explain", "r"], ["top"]):
            done = veranda("--server", f"http://127.0.0.1:{server.server_port}", *command)
            self.assertEqual(done.returncode, 1)
            self.assertIn("older than this veranda", done.stderr)

    def test_top_in_a_pipe_prints_once(self):
        load = json.loads(self.running.cli("top", "-o", "json"))
        self.assertEqual((load["kind"], load["workers"]["all"], load["queued"]), ("Load", 4, 0))
        self.assertGreater(load["memoryBytes"], 1 << 20)
        row = load["repositories"][0]
        self.assertEqual((row["name"], row["syncs"], row["failures"], row["packages"], row["ready"]), ("r", 1, 0, 1, True))
        lines = self.running.cli("top", "--sort", "packages").splitlines()
        self.assertRegex(lines[0], r"^up \d+s, workers busy \d of 4, queued 0, memory ")
        self.assertRegex(lines[2], r"^NAMESPACE +NAME +READY +SYNCS/MIN +FAILURES +BUSY ")
        self.assertRegex(lines[3], r"^default +r +true ")
        self.assertNotIn("default ", self.running.cli("top", "-n", "other"))

    def test_top_on_a_terminal_keeps_to_its_width_and_leaves_it_as_it_was(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        termios.tcsetwinsize(theirs, (10, 40))
        process = subprocess.Popen(self.running.command("top"), env=CLEAN | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        seen = bytearray()

        def read():
            try:
                while data := os.read(ours, 65536):
                    seen.extend(data)
            except OSError:  # nobody has the other end
                pass
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        wait_for(lambda: seen.count(b"\x1b[H") >= 2, "a second look")
        process.send_signal(2)
        self.assertEqual(process.wait(LONG), 130)
        reader.join(LONG)
        text = seen.decode()
        self.assertTrue(text.startswith("\x1b[?1049h\x1b[?25l"), repr(text[:40]))
        self.assertTrue(text.endswith("\x1b[?25h\x1b[?1049l"), repr(text[-40:]))
        for look in text.removeprefix("\x1b[?1049h\x1b[?25l").removesuffix("\x1b[?25h\x1b[?1049l").split("\x1b[H\x1b[J")[1:]:
            lines = look.replace("\r\n", "\n").split("\n")
            self.assertLessEqual(len(lines), 10)
            self.assertLessEqual(max(map(len, lines)), 40)
