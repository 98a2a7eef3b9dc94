"""Nothing is deleted by accident: removals that are too many at once wait for a permit."""
import json
import re
import subprocess

from harness.case import Case, manifest
from harness.daemon import verandad
from harness.git import package
from harness.hostile_git import RESULT, HostileGit, honest, packet
from harness.wait import wait_for

OFTEN = "--health-check-frequency=1s"


def packages(first, last, below=""):
    return {path: text for n in range(first, last) for path, text in package(f"{below}p{n:02}").items()}


class DeletionHold(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.commit("main", packages(0, 25))
        self.good = self.remote.resolve("main")
        self.remote.commit("wrong", packages(0, 5))
        self.wrong = self.remote.resolve("wrong")
        self.remote.delete("refs/heads/wrong")
        self.url = f"{self.server().url}/r.git"
        self.write("r.yaml", manifest("r", self.url))

    def started(self, *flags, **more):
        daemon = self.daemon(*(flags or (OFTEN,)), **more)
        daemon.wait_condition("r", "Ready")
        return daemon

    def push(self, commit):
        """Replaces what the branch holds, as a force push does."""
        self.remote.git("update-ref", "refs/heads/main", commit)

    def held(self, daemon):
        return next((c for c in daemon.repository("r")["status"]["conditions"] if c["type"] == "DeletionHeld"), None)

    def wait_held(self, daemon, count=20):
        return wait_for(lambda: (c := self.held(daemon)) and c["message"].startswith(f"{count} of ") and c, f"{count} held removals", pause=0.1)

    def wait_released(self, daemon, revisions):
        wait_for(lambda: self.held(daemon) is None, "the end of the hold", pause=0.1)
        self.assertEqual(len(daemon.revisions("r")), revisions)

    def test_a_force_push_is_held_until_it_is_allowed(self):
        daemon = self.started()
        self.assertEqual(len(daemon.revisions("r")), 25)
        self.push(self.wrong)
        message = self.wait_held(daemon)["message"]
        self.assertTrue(message.startswith("20 of 25 package revisions are gone from the remote and are kept, as more than 50% would go at once: since the last sync branch "
                                           f'"main" moved from {self.good[:8]} to {self.wrong[:8]}. Put them back; or, when they are meant to go: '
                                           "veranda sync r -n default --allow-deletion "), message)
        daemon.cli("sync", "r", "--wait")
        daemon.cli("sync", "r", "--wait", "--full")
        self.assertEqual(len(daemon.revisions("r")), 25)
        self.assertIn("see condition DeletionHeld", daemon.wait_condition("r", "Ready")["message"])
        self.assertRegex(daemon.cli("describe", "repository", "r"), r"Deletions held: +20 of 25 since .*: since the last sync branch")
        self.assertEqual(daemon.metrics()["veranda_deletions_held"], 20)
        self.assertEqual(len(re.findall("20 of 25 package revisions are gone", daemon.log())), 1)
        permit = daemon.repository("r")["status"]["deletionPermit"]
        daemon.kill()
        daemon = self.started()
        self.assertEqual(daemon.repository("r")["status"]["deletionPermit"], permit)
        daemon.cli("sync", "r", "--wait")
        self.assertEqual(len(daemon.revisions("r")), 25)
        self.assertIn("20 removals allowed", daemon.cli("sync", "r", "--allow-deletion"))
        self.wait_released(daemon, 5)
        self.assertEqual(daemon.metrics()["veranda_deletions_held"], 0)
        self.assert_as_scanned(daemon, "r", self.url)
        daemon.cli("sync", "r", "--allow-deletion", status=1)
        self.assertNotIn("deletionPermit", daemon.repository("r")["status"])
        # What was allowed once is not allowed the next time.
        self.push(self.good)
        wait_for(lambda: len(daemon.revisions("r")) == 25, "the packages", pause=0.1)
        self.push(self.wrong)
        self.wait_held(daemon)
        self.assertNotEqual(daemon.repository("r")["status"]["deletionPermit"], permit)
        self.assertEqual(len(daemon.revisions("r")), 25)
        daemon.cli("sync", "--all", "--allow-deletion", "--wait")
        self.wait_released(daemon, 5)

    def test_changes_and_additions_are_applied_meanwhile(self):
        daemon = self.started()
        self.push(self.wrong)
        self.wait_held(daemon)
        self.remote.commit("main", packages(0, 1) | package("p00", value=7) | package("extra"))
        wait_for(lambda: "r.extra.main" in daemon.revisions("r"), "the new package", pause=0.1)
        self.assertEqual(len(daemon.revisions("r")), 26)
        content = next(r for r in daemon.items("packagerevisionresources") if r["metadata"]["name"] == "r.p00.main")
        self.assertEqual(content["spec"]["resources"]["config.yaml"], package("p00", 7)["p00/config.yaml"])
        self.assertIn('"7"', content["spec"]["resources"]["config.yaml"])
        self.wait_held(daemon)

    def test_what_comes_back_is_held_no_more(self):
        daemon = self.started()
        self.push(self.wrong)
        self.wait_held(daemon)
        self.push(self.good)
        self.wait_released(daemon, 25)
        self.assert_as_scanned(daemon, "r", self.url)

    def test_killed_after_the_permit_it_is_carried_out_at_the_next_start(self):
        daemon = self.started()
        self.push(self.wrong)
        self.wait_held(daemon)
        daemon.cli("suspend", "r")
        daemon.cli("sync", "r", "--allow-deletion")
        self.assertEqual(len(daemon.revisions("r")), 25)
        daemon.kill()
        daemon = self.daemon(OFTEN)
        self.assertEqual(len(daemon.revisions("r")), 25)
        daemon.cli("resume", "r")
        self.wait_released(daemon, 5)

    def test_killed_at_any_moment_of_the_release(self):
        daemon = self.started()
        self.push(self.wrong)
        self.wait_held(daemon)
        subprocess.run(daemon.command("sync", "r", "--allow-deletion"), stdout=subprocess.DEVNULL, check=True, timeout=120)
        daemon.kill()
        daemon = self.daemon(OFTEN)
        self.wait_released(daemon, 5)
        self.assert_as_scanned(daemon, "r", self.url)

    def test_tags_that_go_are_held(self):
        for n in range(1, 31):
            self.remote.tag(f"p00/v{n}")
        daemon = self.started()
        self.assertEqual(len(daemon.revisions("r")), 55)
        daemon.cli("suspend", "r")  # they do not go all in one instant
        for n in range(1, 31):
            self.remote.delete(f"refs/tags/p00/v{n}")
        daemon.cli("resume", "r")
        self.assertIn("since the last sync tags, drafts or proposals were removed", self.wait_held(daemon, 30)["message"])
        self.assertEqual(len(daemon.revisions("r")), 55)
        daemon.cli("sync", "r", "--allow-deletion")
        self.wait_released(daemon, 25)

    def test_a_directory_that_vanishes_is_held_and_another_one_is_not(self):
        self.remote.commit("main", packages(0, 12, "d/") | packages(0, 12, "e/"))
        self.write("r.yaml", manifest("r", self.url, directory="d"))
        daemon = self.started()
        self.assertEqual(len(daemon.revisions("r")), 12)
        self.remote.commit("main", {path: None for path in packages(0, 12, "d/")})
        self.assertIn('directory "d" does not exist on branch "main"', self.wait_held(daemon, 12)["message"])
        self.assertEqual(len(daemon.revisions("r")), 12)
        self.write("r.yaml", manifest("r", self.url, directory="e"))
        wait_for(lambda: self.held(daemon) is None and len(daemon.revisions("r")) == 12, "the other directory", pause=0.1)
        self.assert_as_scanned(daemon, "r", self.url, "--directory", "e")

    def test_a_deleted_repository_holds_nothing(self):
        daemon = self.started()
        self.push(self.wrong)
        self.wait_held(daemon)
        self.remove("r.yaml")
        wait_for(lambda: not daemon.revisions(), "the end of its packages", pause=0.1)

    def test_settings(self):
        daemon = self.started(OFTEN, "--max-delete-percent=80")
        self.push(self.wrong)
        wait_for(lambda: len(daemon.revisions("r")) == 5, "the removals", pause=0.1)
        self.push(self.good)
        wait_for(lambda: len(daemon.revisions("r")) == 25, "the packages", pause=0.1)
        daemon.stop()
        daemon = self.started(OFTEN)
        self.push(self.wrong)
        self.wait_held(daemon)
        daemon.stop()
        daemon = self.started(OFTEN, "--max-delete-percent=80")
        self.wait_released(daemon, 5)

    def test_agreeing_listings_release_when_so_configured(self):
        daemon = self.started(OFTEN, "--release-deletions-after=3s")
        self.push(self.wrong)
        wait_for(lambda: len(daemon.revisions("r")) == 5, "the removals", pause=0.1)
        self.assertIn("20 of 25 package revisions are gone", daemon.log())
        self.assertIsNone(self.held(daemon))

    def test_once_says_what_it_holds(self):
        daemon = self.started()
        daemon.stop()
        self.push(self.wrong)
        done = verandad("--once", "--manifests", self.manifests, "--data-dir", self.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("20 package revisions that the remote no longer has are kept: see condition DeletionHeld", done.stdout)


class Churn(Case):
    """A remote that names other revisions at every listing."""
    TAGS = 100

    def test_does_not_fill_the_cache(self):
        remote, seen = honest(), []
        tip = remote.refs["refs/heads/main"]

        def other_tags(out):
            first = 1 + len(seen) * self.TAGS
            seen.append(first)
            out.begin(RESULT)
            out.send(b"".join(packet(f"{tip} {name}\n") for name in ["refs/heads/main", *(f"refs/tags/pkg/v{first + n}" for n in range(self.TAGS))]) + b"0000")
        remote.list = other_tags
        host = HostileGit({"x": remote})
        self.addCleanup(host.close)
        self.write("x.yaml", manifest("x", host.url("x")))
        daemon = self.daemon("--health-check-frequency=1s")
        daemon.wait_condition("x", "Ready")
        first = {name for name in daemon.revisions("x") if name != "x.pkg.main"}
        self.assertEqual(len(first), self.TAGS)
        for _ in range(5):
            newest = wait_for(lambda: (revisions := daemon.revisions("x")) and f"x.pkg.v{seen[-1]}" in revisions and revisions, "what was listed last")
            self.assertLessEqual(len(newest), 2 * (self.TAGS + 1))
            self.assertLessEqual(first, newest.keys(), "what was there when the hold began stays")
            listed = len(seen)
            wait_for(lambda: len(seen) > listed, "another listing")
        self.assertIn("DeletionHeld", json.dumps(daemon.repository("x")["status"]))
