"""What is in the remote is in the cache: contents, pushes, force-pushes, deletions, restarts."""
import os
import shutil

from harness.case import Case, manifest
from harness.daemon import verandad
from harness.git import Repository, annotation, package
from harness.wait import wait_for


class Discovery(Case):
    def test_contents_are_what_the_repository_says(self):
        remote = self.repository("r")
        remote.publish("web/front", 1, workspace="first")
        remote.publish("web/front", 2, workspace="second")
        remote.publish("db", 1)
        remote.commit("drafts/web/front/third", package("web/front", 3), "Draft\n\n" + annotation(package="web/front", workspace="third"), start="refs/heads/main")
        remote.commit("proposed/db/bigger", package("db", 2), start="refs/heads/main")
        remote.branch("deletionProposed/db/v1", "refs/heads/main")
        remote.branch("unrelated", "refs/heads/main")
        remote.tag("slashless")
        self.write("r.yaml", manifest("r", remote.path))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        found = {name: (o["spec"]["lifecycle"], o["spec"].get("revision", 0), o["spec"]["workspaceName"]) for name, o in daemon.revisions("r").items()}
        self.assertEqual(found, {
            "r.web.front.first": ("Published", 1, "first"), "r.web.front.second": ("Published", 2, "second"), "r.db.v1": ("DeletionProposed", 1, "v1"),
            "r.web.front.third": ("Draft", 0, "third"), "r.db.bigger": ("Proposed", 0, "bigger"),
            "r.web.front.main": ("Published", -1, "main"), "r.db.main": ("Published", -1, "main")})
        latest = {name for name, o in daemon.revisions("r").items() if o["metadata"].get("labels", {}).get("kpt.dev/latest-revision") == "true"}
        self.assertEqual(latest, {"r.web.front.second", "r.db.v1"})
        resources = {r["metadata"]["name"]: r["spec"]["resources"] for r in daemon.items("packagerevisionresources")}
        self.assertEqual(resources["r.web.front.first"], {p.removeprefix("web/front/"): text for p, text in package("web/front", 1).items()})
        self.assertEqual(resources["r.web.front.third"]["config.yaml"], package("web/front", 3)["web/front/config.yaml"])
        status = daemon.repository("r")["status"]
        self.assertEqual(status["packageCount"], 7)
        self.assertEqual(status["gitCommitHash"], remote.resolve("refs/heads/main"))
        packages = {p["spec"]["packageName"]: p["status"].get("latestRevision") for p in daemon.items("packages")}
        self.assertEqual(packages, {"web/front": 2, "db": 1})

    def test_directory_limits_what_is_seen(self):
        remote = self.repository("r")
        remote.publish("in/a", 1)
        remote.publish("out/b", 1)
        self.write("r.yaml", manifest("r", remote.path, directory="in"))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.assertEqual(set(daemon.revisions("r")), {"r.a.v1", "r.a.main"})

    def test_one_bad_item_stops_nothing_and_is_named(self):
        remote = self.repository("r")
        remote.publish("good", 1)
        remote.branch("drafts/stray", "refs/heads/main")
        remote.commit("main", {"bad/Kptfile": "not: [a Kptfile", "bad/x.yaml": "a: 1\n", "binary/Kptfile": package("binary")["binary/Kptfile"], "binary/blob.bin": b"\0\xff\xfe"})
        self.write("r.yaml", manifest("r", remote.path))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        self.assertLessEqual({"r.good.v1", "r.good.main"}, set(daemon.revisions("r")))
        degraded = [c for c in daemon.repository("r")["status"]["conditions"] if c["type"] == "PackagesDegraded"]
        self.assertEqual([c["status"] for c in degraded], ["True"])
        self.assertIn("drafts/stray", daemon.cli("describe", "repository", "r"))


class Changes(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a", 1)
        self.remote.publish("b", 1)
        self.write("r.yaml", manifest("r", self.remote.path))

    def synced(self, daemon, expected):
        daemon.cli("sync", "r", "--wait")
        self.assertEqual(set(daemon.revisions("r")), expected)

    def test_pushed_commit_moved_and_deleted_refs(self):
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        both = {"r.a.v1", "r.b.v1", "r.a.main", "r.b.main"}
        self.remote.publish("c/d", 1)
        self.synced(daemon, both | {"r.c.d.v1", "r.c.d.main"})

        first = self.remote.git("rev-list", "--max-parents=0", "main")
        self.remote.git("update-ref", "refs/heads/main", first)
        self.synced(daemon, {"r.a.v1", "r.b.v1", "r.c.d.v1", "r.a.main"})
        self.remote.commit("main", package("b", "rewritten"))
        self.synced(daemon, both | {"r.c.d.v1"})
        resources = {r["metadata"]["name"]: r["spec"]["resources"] for r in daemon.items("packagerevisionresources")}
        self.assertIn("rewritten", resources["r.b.main"]["config.yaml"])

        self.remote.delete("refs/tags/c/d/v1")
        self.synced(daemon, both)
        self.remote.tag("b/v1", "refs/heads/main")
        self.synced(daemon, both)
        resources = {r["metadata"]["name"]: r["spec"]["resources"] for r in daemon.items("packagerevisionresources")}
        self.assertIn("rewritten", resources["r.b.v1"]["config.yaml"])

    def test_emptied_and_recreated_remote(self):
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        shutil.rmtree(self.remote.path)
        Repository(self.remote.path)
        daemon.cli("sync", "r", "--wait", status=None)
        condition = daemon.wait_condition("r", "Error")
        self.assertIn("main", condition["message"])
        shutil.rmtree(self.remote.path)
        again = Repository(self.remote.path)
        again.publish("new", 1)
        daemon.cli("sync", "r", "--wait")
        daemon.wait_condition("r", "Ready")
        wait_for(lambda: set(daemon.revisions("r")) == {"r.new.v1", "r.new.main"}, "the packages of the new repository")

    def test_push_is_noticed_by_the_health_check(self):
        daemon = self.daemon("--health-check-frequency=1s")
        daemon.wait_condition("r", "Ready")
        self.remote.publish("c", 1)
        wait_for(lambda: "r.c.v1" in daemon.revisions("r"), "the pushed revision")

    def test_condition_moves_only_when_it_changes(self):
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        before = daemon.repository("r")
        daemon.cli("sync", "r", "--wait")
        after = daemon.repository("r")
        self.assertEqual(before["status"]["conditions"][0]["lastTransitionTime"], after["status"]["conditions"][0]["lastTransitionTime"])
        self.assertRegex(after["status"]["conditions"][0]["message"], r"^Repository Ready \(next sync scheduled at: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)")

    def test_one_remote_for_all_repositories_on_it(self):
        self.write("more.yaml", *(manifest(f"r{n}", self.remote.path, directory=d) for n, d in enumerate(("a", "b"))))
        daemon = self.daemon()
        for name in ("r", "r0", "r1"):
            daemon.wait_condition(name, "Ready")
        self.assertEqual(len([m for m in (self.data / "mirrors").iterdir() if m.is_dir()]), 1)


class Restart(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        for number in range(20):
            self.remote.publish(f"p{number}", 1)
        self.write("r.yaml", manifest("r", f"{self.server().url}/r.git"))

    def fetches(self, lines):
        """Requests that carried a pack are large; a listing of these refs is not. Counted by the server, so nothing the daemon says is believed."""
        return [line for line in lines if '"POST /r.git/git-upload-pack' in line]

    def test_restart_costs_a_listing_and_no_fetch(self):
        server = self.server()
        self.write("r.yaml", manifest("r", f"{server.url}/r.git"))
        first = self.daemon()
        first.wait_condition("r", "Ready")
        expected = first.revisions("r")
        self.assertEqual(len(expected), 40)
        self.assertEqual(first.stop(), 0)
        before = len(self.fetches(server.requests()))
        second = self.daemon()
        second.wait_condition("r", "Ready")
        second.cli("sync", "r", "--wait")
        self.assertEqual(second.revisions("r"), expected)
        polls = self.fetches(server.requests())[before:]
        sizes = [int(line.split('" ')[1].split()[1]) for line in polls]
        self.assertTrue(polls, "a listing reached the server")
        self.assertLess(max(sizes), 6000, f"nothing as large as a pack: {polls}")

    def test_killed_and_started_again(self):
        first = self.daemon()
        first.wait_condition("r", "Ready")
        self.remote.publish("late", 1)
        first.kill()
        second = self.daemon()
        second.cli("sync", "r", "--wait")
        self.assertEqual(len(second.revisions("r")), 42)
        self.assertEqual(second.stop(), 0)

    def test_killed_during_the_first_sync(self):
        for _ in range(3):
            daemon = self.daemon(wait=False)
            wait_for(lambda: (self.data / "token").exists() or daemon.process.poll() is not None, "the token")
            daemon.kill()
        last = self.daemon()
        last.wait_condition("r", "Ready")
        self.assertEqual(len(last.revisions("r")), 40)
        debris = [str(p) for p in self.data.rglob("*") if p.name.startswith(("tmp_", ".tmp")) or p.name.endswith(".lock") and p.parent != self.data]
        self.assertEqual(debris, [])

    def test_second_daemon_on_one_data_directory(self):
        self.daemon()
        done = verandad("--manifests", self.manifests, "--data-dir", self.data, "--listen", "127.0.0.1:0")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(str(self.data), done.stderr + done.stdout)

    def test_a_damaged_cache_is_rebuilt(self):
        first = self.daemon()
        first.wait_condition("r", "Ready")
        first.stop()
        damaged = [p for p in self.data.iterdir() if p.suffix in (".db", ".sqlite") and "object" not in p.name]
        self.assertTrue(damaged, os.listdir(self.data))
        for path in damaged:
            with path.open("r+b") as file:
                file.write(b"this is no database" * 400)
        second = self.daemon()
        wait_for(lambda: len(second.revisions("r")) == 40, "the rebuilt cache")
