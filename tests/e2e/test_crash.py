"""Killed at any moment, out of space: the cache is the state before a sync or after it, and heals."""
import os
import random
import subprocess
import time
import unittest

from harness.case import Case, manifest
from harness.wait import wait_for

KILLS = int(os.environ.get("VERANDA_KILLS", "8"))


class Killed(Case):
    def test_killed_in_a_loop_during_syncs(self):
        remote, url = self.repository("r"), f"{self.server().url}/r.git"
        for number in range(40):
            remote.publish(f"team/p{number}", 1)
        self.write("r.yaml", manifest("r", url))
        seed = int(os.environ.get("VERANDA_SEED", time.time_ns() % 1_000_000))
        draw = random.Random(seed)
        for number in range(KILLS):
            daemon = self.daemon("--health-check-frequency=1s")
            remote.publish(f"team/new{number}", 1)
            if number % 3 == 1:
                remote.delete(f"refs/tags/team/p{number}/v1")
            subprocess.run(daemon.command("sync", "r"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=120)
            time.sleep(draw.uniform(0, 0.12))
            daemon.kill()
        last = self.daemon()
        with self.subTest(seed=seed):
            last.cli("sync", "r", "--wait")
            self.assert_as_scanned(last, "r", url)
            self.assertEqual(last.stop(), 0)
            debris = [str(p) for p in self.data.rglob("*") if p.name.startswith(("tmp_", ".tmp")) or p.name.endswith(".lock")]
            self.assertEqual(debris, [])


class DiskFull(Case):
    def test_is_an_error_that_heals(self):
        self.data.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", str(self.data)], capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            raise unittest.SkipTest("mounting a small file system is not permitted here: " + mounted.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.data)], check=True)
        draw = random.Random(1)
        small, large = self.repository("small"), self.repository("large")
        small.publish("a", 1)
        large.commit("main", {"big/Kptfile": "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: big\n"} | {
            f"big/f{n}.yaml": "".join(f"k{m}: {draw.getrandbits(256):x}\n" for m in range(8000)) for n in range(20)})
        self.write("small.yaml", manifest("small", small.path))
        daemon = self.daemon("--health-check-frequency=1s")
        daemon.wait_condition("small", "Ready")
        self.write("large.yaml", manifest("large", large.path))
        message = daemon.wait_condition("large", "Error")["message"]
        self.assertIn("unavailable", message)
        self.assertRegex(message.lower(), "space|full|disk")
        self.assertEqual(set(daemon.revisions("small")), {"small.a.v1", "small.a.main"}, "what was there is still answered")
        self.assertEqual(daemon.http("/livez")[0], 200)
        subprocess.run(["mount", "-o", "remount,size=256m", str(self.data)], check=True)
        daemon.cli("sync", "large", "--wait", status=None)
        daemon.wait_condition("large", "Ready", seconds=120)
        self.assertEqual(set(daemon.revisions("large")), {"large.big.main"})
        well = (200, "[+]settings ok\n[+]object store ok\n[+]package cache ok\n[+]repositories ok\n")
        wait_for(lambda: daemon.http("/readyz?verbose") == well, f"{well}")
        self.assertEqual(daemon.stop(), 0)


class Moved(Case):
    def test_a_data_directory_that_went_is_noticed_and_welcome_back(self):
        self.write("r.yaml", manifest("r", self.repository("r").path))
        daemon = self.daemon()
        daemon.wait_condition("r", "Error")  # there is no branch; whatever that sync wrote is written
        aside = self.folder / "aside"
        self.data.rename(aside)
        status, text = daemon.http("/readyz?verbose")
        self.assertEqual(status, 503)
        self.assertIn(f"[-]data directory: {self.data} was moved or removed under this process", text)
        self.assertEqual(daemon.http("/livez")[0], 200)
        aside.rename(self.data)
        self.assertEqual(daemon.http("/readyz")[0], 200)
        self.assertEqual(daemon.stop(), 0)
