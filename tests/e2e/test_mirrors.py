"""What mirrors take on the disk: a limit for all, one for each, and what no ref leads to any more."""
import random

from harness.case import Case, manifest
from harness.disk_faults import damage_in, mirrors_of
from harness.git import package
from harness.wait import wait_for

MIB = 1 << 20


def blob(seed, size=MIB):
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def pack_bytes(mirror):
    return sum(pack.stat().st_size for pack in mirror.rglob("*.pack"))


class Limit(Case):
    def repositories(self, names):
        remotes, server = {}, self.server()
        for name in names:
            remotes[name] = self.repository(name)
            remotes[name].commit("main", {"p/blob": blob(name), **package("p")})
            self.write(f"{name}.yaml", manifest(name, f"{server.url}/{name}.git"))
        return remotes, server

    def test_the_least_recently_used_goes_and_comes_back_when_it_is_needed(self):
        remotes, server = self.repositories("abc")
        daemon = self.daemon()
        for name in remotes:
            daemon.wait_condition(name, "Ready")
        self.assertEqual(len(mirrors_of(self.data)), 3)
        self.assertRegex(daemon.cli("explain", "b"), r"Mirror: +1\.0Mi, last used ")
        for name in "ac":  # so that the mirror of b is the one used least recently
            remotes[name].publish("q", 1)
            daemon.cli("sync", name, "--wait")
        self.assertEqual(daemon.stop(), 0)

        daemon = self.daemon("--mirror-max-bytes", "2560Ki")
        wait_for(lambda: daemon.metrics()["veranda_mirrors_removed_total"] == 1, "a mirror to be removed")
        self.assertEqual(len(mirrors_of(self.data)), 2)
        self.assertEqual(daemon.metrics()["veranda_mirrors"], 2)
        self.assertTrue(2 * MIB < daemon.metrics()["veranda_mirror_bytes"] < 2.5 * MIB)
        self.assertRegex(daemon.log(), r"a mirror was removed to stay within --mirror-max-bytes.*b\.git")
        for name in remotes:
            daemon.wait_condition(name, "Ready")
        gone = r"Mirror: +removed .* to stay within --mirror-max-bytes; the next sync that finds a change fetches everything"
        self.assertRegex(daemon.cli("explain", "b"), gone)
        self.assertRegex(daemon.cli("top", "--once"), r"mirrors 2 with 2\.[0-9]Mi of 2\.5Mi \(1 removed\)")
        self.assertIn('"mirrors"', daemon.cli("dump", "-o", "json"))
        before = daemon.revisions("b")
        daemon.cli("sync", "b", "--wait")  # nothing new: no mirror is needed for that
        self.assertEqual(len(mirrors_of(self.data)), 2)
        self.assertEqual(daemon.revisions("b"), before, "its packages stay as they are")

        remotes["b"].publish("q", 1)
        daemon.cli("sync", "b", "--wait")
        self.assertIn("b.q.v1", daemon.revisions("b"))
        self.assertEqual(daemon.metrics()["veranda_mirrors_removed_total"], 2)
        self.assertRegex(daemon.cli("explain", "a"), gone)
        self.assertRegex(daemon.cli("explain", "b"), r"Mirror: +1\.0Mi, last used ")
        for name in remotes:
            self.assert_as_scanned(daemon, name, f"{server.url}/{name}.git")
            daemon.wait_condition(name, "Ready")
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(len(mirrors_of(self.data)), 2)
        self.assertEqual(damage_in(self.data), [])

    def test_one_that_alone_takes_too_much_says_so_and_hurts_no_other(self):
        remotes, server = self.repositories("ab")
        daemon = self.daemon("--mirror-max-bytes", "4Mi")
        for name in remotes:
            daemon.wait_condition(name, "Ready")
        before = daemon.revisions("a")
        remotes["a"].commit("main", {"p/more": blob("more", 2 * MIB), **package("more")})
        daemon.cli("sync", "a")
        condition = daemon.wait_condition("a", "Error")
        self.assertIn("--mirror-max-bytes", condition["message"])
        self.assertEqual(daemon.revisions("a"), before, "what was known stays")
        daemon.wait_condition("b", "Ready")
        self.assertEqual(daemon.metrics()["veranda_mirrors_removed_total"], 0)
        self.assertEqual(len(mirrors_of(self.data)), 2)
        self.assertEqual(daemon.stop(), 0)
        daemon = self.daemon("--mirror-max-bytes", "16Mi")
        daemon.cli("sync", "a", "--wait")
        self.assert_as_scanned(daemon, "a", f"{server.url}/a.git")
        self.assertEqual(daemon.stop(), 0)


class Outgrown(Case):
    def test_what_was_pushed_over_goes(self):
        remote, server = self.repository("r"), self.server()
        remote.commit("base", package("p"))
        url = f"{server.url}/r.git"
        self.write("r.yaml", manifest("r", url))
        daemon = None
        for number in range(6):
            remote.git("update-ref", "refs/heads/main", remote.resolve("refs/heads/base"))
            remote.commit("main", {"p/blob": blob(number)})
            daemon = daemon or self.daemon()
            daemon.cli("sync", "r", "--wait")
            daemon.wait_condition("r", "Ready")
        self.assert_as_scanned(daemon, "r", url)
        self.assertEqual(daemon.stop(), 0)
        (mirror,) = mirrors_of(self.data)
        self.assertLess(pack_bytes(mirror), 4 * MIB)
        self.assertEqual(damage_in(self.data), [])
