"""Killed at any moment, out of space: the cache is the state before a sync or after it, and heals."""
import os
import random
import re
import subprocess
import threading
import time
import unittest

from harness.case import Case, manifest
from harness.disk_faults import damage_in, environment
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


class Pushes(threading.Thread):
    """Publishes and deletes in some of these repositories, without a pause, until it is told to stop."""

    def __init__(self, remotes, draw):
        super().__init__(daemon=True)
        self.remotes, self.draw, self.ended, self.failed, self.count = remotes, draw, threading.Event(), None, 0

    def run(self):
        try:
            while not self.ended.is_set():
                remote, self.count = self.draw.choice(self.remotes), self.count + 1
                remote.publish(f"team/p{self.count % 9}", self.count)
                if self.count % 5 == 0:
                    remote.delete(f"refs/tags/team/p{(self.count - 4) % 9}/v{self.count - 4}")
        except Exception as error:  # told by stop
            self.failed = error

    def stop(self):
        self.ended.set()
        self.join(60)
        if self.failed:
            raise self.failed


class KilledUnderLoad(Case):
    REPOSITORIES = 10

    def test_killed_again_and_again_while_pushes_go_on(self):
        seed = int(os.environ.get("VERANDA_SEED", time.time_ns() % 1_000_000))
        draw = random.Random(seed)
        remotes = [self.repository(f"r{n}") for n in range(self.REPOSITORIES)]
        server = self.server()
        urls = [f"{server.url}/r{n}.git" if n % 2 else remote.path for n, remote in enumerate(remotes)]
        for n, remote in enumerate(remotes):
            remote.publish("team/first", 1)
            self.write(f"r{n}.yaml", manifest(f"r{n}", urls[n]))
        pushes = Pushes(remotes, random.Random(seed))
        pushes.start()
        self.addCleanup(pushes.ended.set)
        with self.subTest(seed=seed):
            for _ in range(KILLS + 2):
                daemon = self.daemon("--health-check-frequency=1s")
                time.sleep(draw.uniform(0, 1.5))
                daemon.kill()
            pushes.stop()
            last = self.daemon("--health-check-frequency=1s")
            for n, url in enumerate(urls):
                last.cli("sync", f"r{n}", "--wait")
                self.assert_as_scanned(last, f"r{n}", url)
            self.assertEqual(last.stop(), 0)
            self.assertEqual(damage_in(self.data), [])
            debris = [str(p) for p in self.data.rglob("*") if p.name.startswith(("tmp_", ".tmp", "pack_git2")) or p.name.endswith((".lock", ".new")) or ".gone-" in p.name]
            self.assertEqual(debris, [])


class DiskThatFails(Case):
    def pushed(self, fault, within, **more):
        """A daemon that is in step, a push, and a disk below `within` that fails from now on. The daemon, and the file whose removal mends the disk."""
        remote, switch = self.repository("r"), self.folder / "broken"
        remote.publish("a", 1)
        self.write("r.yaml", manifest("r", remote.path))
        daemon = self.daemon("--health-check-frequency=1s", environment=environment(within, fault, 1, switch=switch, **more))
        daemon.wait_condition("r", "Ready")
        remote.publish("a", 2)
        switch.touch()
        return daemon, switch

    def heals(self, daemon, switch):
        self.assertEqual(set(daemon.revisions("r")), {"r.a.v1", "r.a.main"}, "what was there is still answered")
        self.assertEqual(daemon.http("/livez")[0], 200)
        switch.unlink()
        wait_for(lambda: "r.a.v2" in daemon.revisions("r"), "the push after the disk was mended", 120)
        daemon.wait_condition("r", "Ready", seconds=120)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(damage_in(self.data), [])

    def test_mirrors_that_cannot_be_written_are_named_in_the_condition(self):
        for fault, said in (("ENOSPC", "No space left on device"), ("EROFS", "Read-only file system"), ("EIO", "Input/output error")):
            with self.subTest(fault=fault):
                self.data = self.folder / fault
                daemon, switch = self.pushed(fault, self.data / "mirrors")
                message = daemon.wait_condition("r", "Error")["message"]
                self.assertIn("unavailable", message)
                self.assertIn(said, message)
                self.heals(daemon, switch)
                (self.manifests / "r.yaml").unlink()
                self.git_root.joinpath("r.git").rename(self.git_root / f"{fault}.git")

    def test_stores_that_cannot_be_written_are_named_by_readyz(self):
        daemon, switch = self.pushed("ENOSPC", self.data)
        daemon.cli("sync", "r", status=None)
        wait_for(lambda: "[!]" in daemon.http("/readyz?verbose")[1], "a store that needs a look")
        wait_for(lambda: re.search("disk is full|disk full|No space left", daemon.log()), "the reason in the log")
        self.heals(daemon, switch)

    def test_a_slow_disk_delays_and_breaks_nothing(self):
        daemon, switch = self.pushed("slow", self.data, ms=60)
        begin = time.monotonic()
        for _ in range(20):
            asked = time.monotonic()
            self.assertEqual(daemon.http("/livez")[0], 200)
            self.assertLess(time.monotonic() - asked, 5, "a probe does not wait for the disk")
        wait_for(lambda: "r.a.v2" in daemon.revisions("r"), "the push", 120)
        self.assertGreater(time.monotonic() - begin, 0.06, "the disk was slow")
        self.assertEqual(sum(value for name, value in daemon.metrics().items() if name.startswith("veranda_actors_stuck")), 0)
        switch.unlink()
        self.assertEqual(daemon.stop(), 0)


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
