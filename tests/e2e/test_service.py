"""verandad as a service of systemd: what it tells the service manager, and the unit that is shipped."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from harness import ROOT
from harness.case import Case, manifest
from harness.daemon import KubeDaemon, verandad
from harness.git_server import make_certificates
from harness.wait import LONG, free_port, wait_for

UNIT = ROOT / "config/systemd/verandad.service"


class Manager:
    """A service manager's end of the socket, with all it was told, in order."""

    def __init__(self, case):
        folder = tempfile.mkdtemp(prefix="veranda-notify-", dir="/tmp")  # the name of a socket is short
        case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.path = folder + "/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        case.addCleanup(self.socket.close)
        self.socket.bind(self.path)
        self.told = []

    def wait(self, line, seconds=2 * LONG):
        """Until a line that begins with the pattern `line` is told; answers all lines before it since the last call."""
        before, end = [], time.monotonic() + seconds
        while True:
            while self.told:
                found = self.told.pop(0)
                if re.match(line, found):
                    return before
                before.append(found)
            self.socket.settimeout(max(end - time.monotonic(), 0.01))
            try:
                self.told += self.socket.recv(65536).decode().split("\n")
            except TimeoutError:
                raise AssertionError(f"{line} was not told within {seconds} s, but: {before}") from None


class Notices(Case):
    def start(self, *flags, **more):
        self.manager = Manager(self)
        return self.daemon(*flags, wait=False, environment={"NOTIFY_SOCKET": self.manager.path} | more)

    def test_ready_after_the_first_list_reloading_and_stopping(self):
        remote = self.repository("r")
        remote.publish("a", 1)
        self.write("r.yaml", manifest("r", remote.path))
        daemon = self.start()
        self.manager.wait("READY=1")
        self.assertEqual(daemon.http("/readyz")[0], 200)
        self.assertIsNotNone(daemon.repository("r"))
        daemon.process.send_signal(signal.SIGHUP)
        self.assertNotIn("READY=1", self.manager.wait("RELOADING=1"))
        self.assertLess(int(self.manager.wait("READY=1")[0].removeprefix("MONOTONIC_USEC=")), time.monotonic_ns() // 1000)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertNotIn("READY=1", self.manager.wait("STOPPING=1"))
        self.manager.wait("EXTEND_TIMEOUT_USEC=25000000")
        self.assertEqual(daemon.stop(), 0)

    def test_a_reload_reads_the_log_level_from_the_settings_file(self):
        settings = self.folder / "settings.yaml"
        settings.write_text("log-level: info\n")
        daemon = self.start("--config", settings)
        self.manager.wait("READY=1")
        settings.write_text("log-level: debug\n")
        daemon.process.send_signal(signal.SIGHUP)
        self.manager.wait("READY=1")
        self.assertNotIn("watch event", daemon.log())
        self.write("r.yaml", manifest("r", self.repository("r").path))
        wait_for(lambda: "watch event" in daemon.log(), "a line of level debug")

    def reload(self, daemon, text):
        """Another settings file, read."""
        (self.folder / "settings.yaml").write_text(text)
        before = len(daemon.log())
        daemon.process.send_signal(signal.SIGHUP)
        self.manager.wait("READY=1")
        return wait_for(lambda: "were read anew" in daemon.log()[before:] or "were not reloaded" in daemon.log()[before:], "a word about it") and daemon.log()[before:]

    def test_a_reload_takes_in_what_can_change_and_names_what_cannot(self):
        settings = self.folder / "settings.yaml"
        settings.write_text("repo-sync-frequency: 10m\n")
        self.write("r.yaml", manifest("r", self.repository("r").path))
        daemon = self.start("--config", settings)
        self.manager.wait("READY=1")
        log = self.reload(daemon, "repo-sync-frequency: 100h\nmetrics-max-repositories: 2\n")
        self.assertIn("repo-sync-frequency=100h0m0s", log)
        self.assertRegex(log, r"a changed setting needs a restart.*metrics-max-repositories")
        self.assertEqual(log.count("needs a restart"), 1)
        wait_for(lambda: json.loads(daemon.cli("explain", "r", "-o", "json"))["schedule"]["every"] == "100h0m0s", "the new frequency")
        log = self.reload(daemon, "repo-sync-frequency: 0s\n")
        self.assertRegex(log, r"not reloaded.*repo-sync-frequency")
        self.assertEqual(json.loads(daemon.cli("explain", "r", "-o", "json"))["schedule"]["every"], "100h0m0s")
        log = self.reload(daemon, "repo-sync-frequency: [\n")
        self.assertRegex(log, "not reloaded")
        log = self.reload(daemon, "repo-sync-frequency: 100h\n")
        self.assertIn("changed=nothing", log)

    def fails(self, daemon, why):
        daemon.cli("sync", "r", "--wait", status=None)
        wait_for(lambda: why in daemon.condition("r").get("message", ""), why)

    def test_a_reload_changes_limits_and_rules_for_what_begins_from_then_on(self):
        settings = self.folder / "settings.yaml"
        settings.write_text("max-concurrent-syncs: 1\n")
        remote = self.repository("r")
        remote.publish("a", 1)
        self.write("r.yaml", manifest("r", f"{self.server().url}/r.git"))
        daemon = self.start("--config", settings)
        self.manager.wait("READY=1")
        daemon.wait_condition("r", "Ready")

        def workers():
            return sum(actor["kind"] == "worker" for actor in json.loads(daemon.http("/dump")[1])["actors"])
        self.assertEqual(workers(), 1)
        self.assertIn("max-concurrent-syncs=3", self.reload(daemon, "max-concurrent-syncs: 3\n"))
        wait_for(lambda: workers() == 3, "three workers")
        self.reload(daemon, "max-concurrent-syncs: 2\n")
        wait_for(lambda: workers() == 2, "two workers")

        self.reload(daemon, "deny-cidr: 127.0.0.0/8\n")
        self.fails(daemon, "--deny-cidr 127.0.0.0/8")
        self.reload(daemon, "max-pack-bytes: 1Mi\n")
        daemon.cli("sync", "r", "--wait")
        remote.commit("main", {"a/noise": os.urandom(3 << 20)})
        self.fails(daemon, "--max-pack-bytes")
        self.assertNotIn("needs a restart", self.reload(daemon, "max-pack-bytes: 16Mi\n"))
        daemon.cli("sync", "r", "--wait")
        self.assertEqual(daemon.stop(), 0)

    def test_a_reload_serves_the_certificate_that_is_there_then(self):
        def put(certificate, key):
            for name, text in (("server.crt", certificate), ("server.key", key)):
                (self.folder / f"{name}.new").write_text(text)
                (self.folder / f"{name}.new").rename(self.folder / name)

        made = []
        for name in ("first", "second"):
            (self.folder / name).mkdir()
            make_certificates(self.folder / name)
            made.append([(self.folder / name / file).read_text() for file in ("server.crt", "server.key")])
        put(*made[0])
        daemon = self.start("--tls-certificate", self.folder / "server.crt", "--tls-key", self.folder / "server.key")
        self.manager.wait("READY=1")

        def served():
            return ssl.get_server_certificate(("127.0.0.1", daemon.port), timeout=LONG)
        self.assertEqual(served(), made[0][0])
        put(*made[1])
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: served() == made[1][0], "the new certificate")
        put("broken", made[1][1])
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: re.search(r"warning.*server\.crt", daemon.log()), "a word about the broken file")
        self.assertEqual(served(), made[1][0])
        put(made[0][0], made[1][1])  # a key of another
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(re.findall(r"(?m)^.* warning .*server\.(?:crt|key).*$", daemon.log())) > 1, "a word about the key")
        self.assertEqual(served(), made[1][0])
        self.assertEqual(daemon.stop(), 0)

    def test_the_status_names_what_needs_a_look(self):
        daemon = self.start()
        self.manager.wait(f"STATUS=serving http://127.0.0.1:{daemon.port}")
        self.write("broken.yaml", "a: [\n")
        self.manager.wait(f"STATUS=serving http://127.0.0.1:{daemon.port}, but look at: manifests: 1 problems, the first: broken.yaml:")
        self.remove("broken.yaml")
        self.manager.wait(f"STATUS=serving http://127.0.0.1:{daemon.port}$")

    def test_signs_of_life_are_given_when_asked_for(self):
        daemon = self.start(WATCHDOG_USEC="4000000")
        for _ in range(3):
            self.manager.wait("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGSTOP)
        self.addCleanup(daemon.process.send_signal, signal.SIGCONT)
        time.sleep(1)  # what was under way
        self.manager.socket.settimeout(0)
        with self.assertRaises(BlockingIOError):
            while True:
                self.manager.socket.recv(65536)
        self.manager.socket.settimeout(3)
        with self.assertRaises(TimeoutError):
            self.manager.socket.recv(65536)

    def test_it_is_not_ready_while_its_api_server_is_away(self):
        manager = Manager(self)
        kubeconfig = self.folder / "kubeconfig"
        kubeconfig.write_text(f"""{{"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{{"name": "c", "context": {{"cluster": "c", "user": "u"}}}}], "users": [{{"name": "u", "user": {{"token": "t"}}}}],
            "clusters": [{{"name": "c", "cluster": {{"server": "http://127.0.0.1:{free_port()}"}}}}]}}""")
        kubeconfig.chmod(0o600)
        daemon = KubeDaemon(kubeconfig, self.data, wait=False, environment={"NOTIFY_SOCKET": manager.path})
        self.addCleanup(daemon.kill)
        self.assertNotIn("READY=1", manager.wait("STATUS=not ready: repositories: the first list has not been applied yet: "))


class Unit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = UNIT.read_text()

    def values(self, name):
        return re.findall(rf"(?m)^{name}=(.*)$", self.text)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not there (Debian package systemd)")
    def test_systemd_understands_it_and_finds_it_safe(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            file = pathlib.Path(folder, "verandad.service")
            file.write_text(self.text.replace("/usr/bin/verandad ", "/bin/true "))  # it must be there
            for command in (["verify", "--man=no", file], ["security", "--offline=true", "--threshold=20", "--no-pager", file]):
                done = subprocess.run(["systemd-analyze", *map(str, command)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
                self.assertEqual((done.returncode, done.stderr.count("verandad.service:")), (0, 0), done.stderr + done.stdout[-3000:])

    def test_its_times_are_in_step_with_the_defaults(self):
        documented = (ROOT / "docs/configuration.md").read_text()
        deadline = int(re.search(r"`--shutdown-deadline DURATION` \| `\w+` \| `(\d+)s`", documented).group(1))
        self.assertGreaterEqual(int(self.values("TimeoutStopSec")[0].removesuffix("s")), deadline + 5)

    def test_what_would_fail_again_is_not_tried_again(self):
        self.assertEqual(self.values("RestartPreventExitStatus"), ["2 3"])
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(verandad("--config", folder + "/none.yaml").returncode, 2)
