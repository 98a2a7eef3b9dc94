"""Package revisions as PackageRev objects (--cache=cr) on a real API server."""

from harness.daemon import KubeDaemon, query, verandad
from harness.fault_proxy import FaultProxy
from harness.git import package
from harness.kube import CONFIG_API, CRDS, OTHER_CRDS, KubeCase
from harness.wait import wait_for

from test_kube_install import SYSTEM, overlay, rights, used
from test_kube_sync import Synced

LABEL = "internal.porch.kpt.dev/repository"
FINALIZER = "internal.porch.kpt.dev/packagerevision"
LONG = 120


class Mirrored(Synced):
    def setUp(self):
        KubeCase.setUp(self)
        self.git = self.repository("r")
        self.git.publish("one", 1)
        self.url = self.server().url + "/r.git"
        self.revs = f"{CONFIG_API}/namespaces/{self.namespace}/packagerevs"
        self.addCleanup(self.cluster.release, CONFIG_API, "packagerevs", self.namespace)

    def publish_many(self, first, last):
        """A package by hand, with tags and without annotations."""
        self.git.commit("main", package("many"))
        for n in range(first, last + 1):
            self.git.tag(f"many/v{n}")

    def start(self, *flags, **more):
        return super().start("--cache=cr", "--health-check-frequency", "1s", "--repo-sync-frequency", "1h", *flags, **more)

    def objects(self):
        return {o["metadata"]["name"]: o for o in self.cluster.expect("GET", self.revs)["items"]}

    def current(self):
        """Names of the current revisions, by the rows."""
        return self.names("SELECT name FROM revisions WHERE repository IS NOT NULL")

    def names(self, sql):
        return {name for name, in query(self.data, sql)}

    def wait_objects(self, names, seconds=LONG):
        def same():
            found = self.objects()
            return found if set(found) == set(names) and not any("deletionTimestamp" in o["metadata"] for o in found.values()) else None
        try:
            return wait_for(same, "the PackageRev objects", seconds, 0.2)
        except AssertionError as failed:
            raise AssertionError(f"{failed}: {sorted(self.objects())} instead of {sorted(names)}") from None


class Life(Mirrored):
    def test_they_follow_the_repository(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        found = self.wait_objects(["r.one.v1", "r.one.main"])
        repository = self.get()
        for o in found.values():
            meta = o["metadata"]
            self.assertEqual(meta["labels"], {LABEL: "r"})
            self.assertEqual(meta["finalizers"], [FINALIZER])
            self.assertEqual(meta["ownerReferences"], [{"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "name": "r", "uid": repository["metadata"]["uid"]}])
        notes = found["r.one.v1"]["metadata"]["annotations"]
        self.assertEqual(notes["veranda.dev/lifecycle"], "Published")
        self.assertEqual((notes["veranda.dev/package"], notes["veranda.dev/workspace"], notes["veranda.dev/revision"], notes["veranda.dev/latest"]), ("one", "v1", "1", "true"))
        self.assertEqual(found["r.one.main"]["metadata"]["annotations"]["veranda.dev/revision"], "-1")
        shown = self.cluster.kubectl("get", "packagerevs", "-n", self.namespace)
        self.assertRegex(shown, r"(?m)^NAME +REPOSITORY +PACKAGE +WORKSPACE +REVISION +LATEST +LIFECYCLE +AGE$")
        self.assertRegex(shown, r"(?m)^r\.one\.v1 +r +one +v1 +1 +true +Published ")
        # Another revision: what is latest moves. A commit elsewhere writes nothing.
        self.git.publish("one", 2)
        found = self.wait_objects(["r.one.v1", "r.one.v2", "r.one.main"])
        wait_for(lambda: "veranda.dev/latest" not in self.objects()["r.one.v1"]["metadata"]["annotations"], "latest to move")
        self.assertEqual(self.objects()["r.one.v2"]["metadata"]["annotations"]["veranda.dev/latest"], "true")
        wait_for(lambda: daemon.metrics()['veranda_package_revs{state="pending"}'] == 0, "all written")
        before = {name: o["metadata"]["resourceVersion"] for name, o in self.objects().items()}
        writes = lambda: sum(v for k, v in daemon.metrics().items() if k.startswith("veranda_package_rev_requests_total"))
        made = writes()
        head = self.git.commit("main", {"README.md": "nothing to see"})
        wait_for(lambda: self.get()["status"].get("gitCommitHash") == head, "a sync of the commit", LONG)
        self.assertEqual({name: o["metadata"]["resourceVersion"] for name, o in self.objects().items()}, before)
        self.assertEqual(writes(), made)
        # A tag that goes.
        self.git.delete("refs/tags/one/v2")
        self.wait_objects(["r.one.v1", "r.one.main"])
        self.assertEqual(daemon.metrics()['veranda_package_rev_requests_total{operation="read",result="success"}'], 0)
        self.assertEqual(daemon.stop(), 0)

    def test_what_others_do_to_them(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.wait_objects(["r.one.v1", "r.one.main"])
        self.cluster.kubectl("annotate", "packagerev", "r.one.v1", "note=mine", "-n", self.namespace)
        self.cluster.kubectl("label", "packagerev", "r.one.v1", "team=blue", "-n", self.namespace)
        uid = self.objects()["r.one.main"]["metadata"]["uid"]
        self.cluster.kubectl("delete", "packagerev", "r.one.main", "-n", self.namespace, "--timeout=60s")  # it sees the end of that one
        wait_for(lambda: self.objects().get("r.one.main", {"metadata": {"uid": uid}})["metadata"]["uid"] != uid, "another one", LONG)
        self.cluster.patch(f"{self.revs}/r.one.v1", {"metadata": {"annotations": {"veranda.dev/lifecycle": "Draft"}, "ownerReferences": None, "finalizers": ["example.org/hold"]}})

        def mended():
            meta = self.objects()["r.one.v1"]["metadata"]
            return meta if meta["annotations"]["veranda.dev/lifecycle"] == "Published" and "ownerReferences" in meta else None
        wait_for(mended, "what was edited to be put right", LONG)
        self.git.publish("one", 2)  # takes "latest" from v1
        wait_for(lambda: "veranda.dev/latest" not in self.objects()["r.one.v1"]["metadata"]["annotations"], "another write", LONG)
        meta = self.objects()["r.one.v1"]["metadata"]
        self.assertEqual((meta["annotations"]["note"], meta["labels"]["team"]), ("mine", "blue"))
        self.assertEqual(sorted(meta["finalizers"]), ["example.org/hold", FINALIZER])
        # One without our label is adopted when its revision comes; a stranger's is left alone.
        for name, labels in (("r.one.v3", {}), ("stranger.x.v1", {LABEL: "stranger"})):
            self.cluster.expect("POST", self.revs, {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "PackageRev",
                                                    "metadata": {"name": name, "labels": labels, "annotations": {"note": "before"}}})
        self.git.publish("one", 3)
        wait_for(lambda: self.objects()["r.one.v3"]["metadata"].get("finalizers") == [FINALIZER], "adoption", LONG)
        self.assertEqual(self.objects()["r.one.v3"]["metadata"]["annotations"]["note"], "before")
        self.assertEqual(self.objects()["stranger.x.v1"]["metadata"].get("finalizers"), None)
        self.cluster.patch(f"{self.revs}/r.one.v1", {"metadata": {"finalizers": [FINALIZER]}})
        self.assertEqual(daemon.stop(), 0)

    def test_killed_in_the_middle(self):
        self.publish_many(1, 41)
        slow = ("--kube-api-qps=10", "--kube-api-burst=10")
        daemon = self.start(*slow)
        self.cluster.apply(self.manifest())
        wait_for(lambda: 5 < len(self.objects()) < 35, "some of the objects", LONG, 0.05)
        daemon.kill()
        self.assertLess(len(self.objects()), 44)
        for n in range(2, 12):
            self.git.delete(f"refs/tags/many/v{n}")
        daemon = self.start(*slow)
        wanted = ["r.one.main", "r.one.v1", "r.many.main", "r.many.v1"] + [f"r.many.v{n}" for n in range(12, 42)]
        self.wait_objects(wanted)
        self.assertEqual(self.current(), set(wanted))
        # Killed while they are removed: the Repository is held until they are gone.
        self.cluster.expect("DELETE", f"{self.repositories}/r")
        wait_for(lambda: len(self.objects()) < 25, "some of them to go", LONG, 0.05)
        daemon.kill()
        self.assertEqual(self.cluster.request("GET", f"{self.repositories}/r")[0], 200)
        self.assertGreater(len(self.objects()), 0)
        daemon = self.start()
        wait_for(lambda: self.cluster.request("GET", f"{self.repositories}/r")[0] == 404, "the end of the Repository", LONG)
        self.assertEqual(self.objects(), {})
        self.assertEqual(daemon.stop(), 0)

    def test_a_lost_cache_costs_users_nothing(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.wait_objects(["r.one.v1", "r.one.main"])
        self.cluster.kubectl("annotate", "packagerev", "--all", "note=mine", "-n", self.namespace)
        uids = {name: o["metadata"]["uid"] for name, o in self.objects().items()}
        self.assertEqual(daemon.stop(), 0)
        for file in self.data.glob("packages.db*"):
            file.unlink()
        self.publish_many(7, 7)
        self.start()
        found = self.wait_objects(["r.one.v1", "r.one.main", "r.many.main", "r.many.v7"])
        for name, uid in uids.items():
            self.assertEqual((found[name]["metadata"]["uid"], found[name]["metadata"]["annotations"]["note"]), (uid, "mine"))

    def test_the_api_server_restarts(self):
        self.start()
        self.cluster.apply(self.manifest())
        self.wait_objects(["r.one.v1", "r.one.main"])
        self.cluster.kill()
        self.publish_many(2, 5)
        self.git.delete("refs/tags/one/v1")
        self.cluster.start()
        self.wait_objects(["r.one.main", "r.many.main", *(f"r.many.v{n}" for n in range(2, 6))])

    def test_once(self):
        self.cluster.apply(self.manifest())
        done = verandad("--once", "--kubeconfig", self.cluster.kubeconfig(), "--namespace", self.namespace, "--data-dir", self.data, "--cache", "cr")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(set(self.objects()), {"r.one.v1", "r.one.main"})

    def test_settings_that_make_no_sense(self):
        for flags, said in ((("--cache=cr",), "must come together with kubernetes"), (("--kubernetes", "--porch-owner-refs"), "must come together with --cache cr")):
            done = verandad("--data-dir", self.data, *flags)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)


class Ends(Mirrored):
    """Whose objects stay, and what keeps them."""

    def annotated(self, name):
        """The uid of an object that a user has written to."""
        self.cluster.kubectl("annotate", "packagerev", name, "note=mine", "-n", self.namespace)
        self.cluster.kubectl("label", "packagerev", name, "team=blue", "-n", self.namespace)
        return self.objects()[name]["metadata"]["uid"]

    def check_kept(self, name, uid):
        meta = self.objects()[name]["metadata"]
        self.assertEqual((meta["uid"], meta["annotations"]["note"], meta["labels"]["team"]), (uid, "mine", "blue"))

    def test_a_replica_whose_volume_is_behind_undoes_nothing(self):
        config = {}
        data = self.data

        def lead(name):
            proxy = FaultProxy.before(self.cluster)
            self.addCleanup(proxy.close)
            config[name] = self.cluster.kubeconfig(server=proxy.url, namespace=self.namespace)
            daemon = KubeDaemon(config[name], data.parent / name, "--namespace", self.namespace, "--leader-elect", "--cache=cr", "--health-check-frequency", "1s", "--repo-sync-frequency", "1h")
            self.addCleanup(daemon.kill)
            wait_for(lambda: daemon.metrics()["veranda_leader"] == 1, "leadership", LONG)
            return daemon, proxy

        first, _ = lead("a")
        self.cluster.apply(self.manifest())
        self.wait_objects(["r.one.v1", "r.one.main"])
        self.assertEqual(first.stop(), 0)
        second, _ = lead("b")
        self.git.publish("one", 2)
        self.wait_objects(["r.one.v1", "r.one.v2", "r.one.main"])
        uid = self.annotated("r.one.v2")
        self.assertEqual(second.stop(), 0)
        self.git.publish("one", 3)
        again, proxy = lead("a")
        self.wait_objects(["r.one.v1", "r.one.v2", "r.one.v3", "r.one.main"])
        wait_for(lambda: again.metrics()['veranda_package_revs{state="pending"}'] == 0, "all written", LONG)
        self.check_kept("r.one.v2", uid)
        changed = [r for r in proxy.requests() if "/packagerevs" in r.path and r.method != "GET"]
        self.assertEqual([r for r in changed if r.method == "DELETE"], [])
        self.assertEqual(len([r for r in changed if r.method == "POST"]), 1, changed)  # v3, and nothing of the past
        self.assertEqual(again.stop(), 0)

    def test_one_that_moves_to_another_daemon_keeps_its_objects(self):
        manifest = self.manifest()
        manifest["metadata"].setdefault("labels", {})["shard"] = "one"
        daemon = self.start("--selector", "shard=one")
        self.cluster.apply(manifest)
        self.wait_objects(["r.one.v1", "r.one.main"])
        uid = self.annotated("r.one.v1")
        self.assertEqual(daemon.stop(), 0)
        self.cluster.patch(f"{self.repositories}/r", {"metadata": {"labels": {"shard": "two"}}})
        daemon = self.start("--selector", "shard=one")  # and finds rows of one that it does not follow
        wait_for(lambda: self.current() == set(), "the end of the rows", LONG)
        wait_for(lambda: not self.get()["metadata"].get("finalizers"), "the Repository to be let go of", LONG)
        self.check_kept("r.one.v1", uid)
        # Nobody follows it any more: once the garbage collector deletes the object, it is let go of.
        self.cluster.expect("DELETE", f"{self.repositories}/r")
        self.cluster.expect("DELETE", f"{self.revs}/r.one.v1")
        self.wait_objects(["r.one.main"])
        self.assertEqual(daemon.stop(), 0)

    def test_what_keeps_a_deleted_repository_is_said(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.wait_objects(["r.one.v1", "r.one.main"])
        self.cluster.patch(f"{self.revs}/r.one.v1", {"metadata": {"finalizers": ["example.org/hold", FINALIZER]}})
        self.cluster.expect("DELETE", f"{self.repositories}/r")
        said = "1 of its PackageRev objects wait for finalizers of others, the first of them r.one.v1 for example.org/hold"
        wait_for(lambda: said in self.get()["status"]["conditions"][0]["message"], "the condition to name it", LONG)
        self.assertEqual(daemon.log().count(said), 1, daemon.log()[-3000:])
        self.cluster.patch(f"{self.revs}/r.one.v1", {"metadata": {"finalizers": None}})
        wait_for(lambda: self.cluster.request("GET", f"{self.repositories}/r")[0] == 404, "the end of the Repository", LONG)
        self.assertEqual(self.objects(), {})
        self.assertEqual(daemon.stop(), 0)


class Rights(Mirrored):
    """The component of the installation, its role, and clusters that lack something."""

    crds = (CRDS / "repositories.yaml",)

    def tearDown(self):
        self.cluster.remove_crd("packagerevs.config.porch.kpt.dev")
        super().tearDown()

    def test_its_role_is_enough_and_used(self):
        self.cluster.kubectl("apply", "-k", overlay(self.folder / "overlay", "packagerevs"))
        self.cluster.install_crd(CRDS / "packagerevs.yaml")
        deployment = self.cluster.expect("GET", f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/verandad")
        self.assertIn({"name": "VERANDAD_CACHE", "value": "cr"}, deployment["spec"]["template"]["spec"]["containers"][0]["env"])
        account = self.cluster.in_cluster("verandad", SYSTEM)
        proxy = FaultProxy.before(self.cluster)
        self.addCleanup(proxy.close)
        config = self.cluster.kubeconfig("verandad", {"tokenFile": str(account / "token")}, server=proxy.url)
        daemon = KubeDaemon(config, self.data, "--cache=cr", "--health-check-frequency", "1s")
        self.addCleanup(daemon.kill)
        self.cluster.expect("POST", self.revs, {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "PackageRev", "metadata": {"name": "r.one.v1"}})  # adopted: get and patch
        self.cluster.apply(self.manifest())
        self.wait_objects(["r.one.v1", "r.one.main"])
        wait_for(lambda: self.objects()["r.one.v1"]["metadata"].get("finalizers") == [FINALIZER], "adoption", LONG)
        self.git.delete("refs/tags/one/v1")
        self.wait_objects(["r.one.main"])
        needed = {right for right in map(used, proxy.requests()) if right[1] == "packagerevs"}
        self.assertEqual([r for r in proxy.requests() if r.status in (401, 403)], [], daemon.log()[-3000:])
        rules = self.cluster.expect("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/verandad-packagerevs")["rules"]
        self.assertEqual(needed, rights(rules))
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        self.assertEqual(self.objects(), {})
        self.assertEqual(daemon.stop(), 0)

    def test_a_cluster_without_the_definition_says_so_and_heals(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        wait_for(lambda: "[!]PackageRev objects: " in daemon.http("/readyz?verbose")[1], "the trouble to be said")
        self.assertIn("install its CRD", daemon.http("/readyz?verbose")[1])
        self.assertEqual(daemon.http("/readyz")[0], 200)
        self.cluster.install_crd(CRDS / "packagerevs.yaml")
        self.wait_objects(["r.one.v1", "r.one.main"])
        self.assertIn("[+]PackageRev objects ok", daemon.http("/readyz?verbose")[1])
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        self.assertEqual(self.objects(), {})

    def test_porchs_definition_serves_unchanged(self):
        self.cluster.install_crd(OTHER_CRDS / "porch-1.5.8/packagerevs.yaml")
        daemon = self.start()
        self.cluster.apply(self.manifest())
        found = self.wait_objects(["r.one.v1", "r.one.main"])
        self.assertEqual(found["r.one.v1"]["metadata"]["annotations"]["veranda.dev/lifecycle"], "Published")
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        self.assertEqual(self.objects(), {})
        self.assertEqual(daemon.stop(), 0)
