"""SIGTERM while syncs are under way: those that work on a mirror come to their end, the rest is left to the next start."""
import os
import time

from harness.case import Case, manifest
from harness.fault_proxy import TcpProxy
from harness.silent import Silent
from harness.wait import wait_for


class Shutdown(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("first", 1)
        self.proxy = TcpProxy(self.server(workers=8).port)
        self.addCleanup(self.proxy.close)
        self.url = f"http://127.0.0.1:{self.proxy.port}/r.git"
        self.write("r.yaml", manifest("r", self.url))

    def fetching(self, *flags):
        """A daemon in step, whose host has slowed down amid the fetch of something new."""
        daemon = self.daemon(*flags)
        daemon.wait_condition("r", "Ready")
        self.remote.publish("large", 1)
        self.remote.commit("main", {"noise.bin": os.urandom(1 << 19).hex()}, "Make it large")
        self.proxy.rate = 150_000
        daemon.cli("sync", "r")
        wait_for(lambda: "phase=syncing" in daemon.cli("dump"), "the fetch to begin")
        return daemon

    def debris(self):
        return [str(path) for path in self.data.rglob("*") if path.name.startswith(("tmp_", ".tmp", "pack_git2")) or path.suffix in (".lock", ".new")]

    def test_a_fetch_that_is_under_way_comes_to_its_end(self):
        daemon = self.fetching()
        self.assertEqual(daemon.stop(), 0)
        self.proxy.stall()  # the next one has nothing but what the last one stored
        daemon = self.daemon()
        self.assertIn("r.large.v1", daemon.revisions("r"))

    def test_a_fetch_that_takes_too_long_is_stopped_and_made_up_for(self):
        daemon = self.fetching("--shutdown-deadline=4s")
        self.proxy.stall()
        begun = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertIn("syncs did not end in time", daemon.log())
        self.assertEqual(self.debris(), [])
        self.proxy.rate = None
        self.proxy.flow()
        daemon = self.daemon()
        daemon.cli("sync", "r", "--wait")
        self.assert_as_scanned(daemon, "r", self.url)

    def test_nobody_waits_for_a_host_that_says_nothing(self):
        silent = Silent()
        self.addCleanup(silent.close)
        self.write("silent.yaml", manifest("silent", f"http://127.0.0.1:{silent.port}/x.git"))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        wait_for(lambda: silent.count() > 0, "the listing of the silent host")
        begun = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - begun, 5)
