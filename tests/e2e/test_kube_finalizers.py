"""Deleting Repositories of a real API server: what is kept of one goes first, then its finalizer, whoever was up meanwhile."""
import time

from harness.daemon import verandad
from harness.kube import CONFIG_API
from harness.silent import Silent
from harness.wait import stays, wait_for

from test_kube_sync import EVERY, REPOSITORIES, Synced

OURS = "config.porch.kpt.dev/repository"
OURS_TOO = "internal.porch.kpt.dev/packagerevision"  # of PackageRevs
FOREIGN = "example.org/keep"


class Held(Synced):
    users = {"robot": []}

    def finalizers(self, name="r"):
        return self.get(name)["metadata"].get("finalizers", [])

    def status_of(self, name="r"):
        return self.cluster.request("GET", f"{self.repositories}/{name}")[0]

    def wait_gone(self, name="r", seconds=120):
        wait_for(lambda: self.status_of(name) == 404, f"the end of {name}", seconds, 0.1)

    def delete(self, name="r"):
        self.cluster.expect("DELETE", f"{self.repositories}/{name}")

    def mirrors(self):
        folder = self.data / "mirrors"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []

    def ready(self, name="r", **more):
        self.cluster.apply(self.manifest(name, **more))
        return self.wait_reason("Ready", name)


class Deletion(Held):
    def test_rows_and_mirror_go_before_the_object(self):
        daemon = self.start()
        self.ready()
        self.assertEqual(self.finalizers(), [OURS])
        self.assertGreater(self.rows(), 0)
        self.assertEqual(len(self.mirrors()), 1)
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        self.assertEqual((self.rows(), self.mirrors()), (0, []), "as kubectl sees the end of the object")
        self.assertEqual(daemon.stop(), 0)

    def test_a_mirror_that_others_use_stays(self):
        self.start()
        self.ready()
        self.ready("other")
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        self.assertEqual((self.rows(), len(self.mirrors())), (2, 1))
        self.assertEqual(self.finalizers("other"), [OURS])

    def test_the_finalizers_of_others_stay_and_keep_it(self):
        self.start()
        manifest = self.manifest()
        manifest["metadata"]["finalizers"] = [FOREIGN]
        self.cluster.apply(manifest)
        self.wait_reason("Ready")
        self.assertEqual(sorted(self.finalizers()), sorted([OURS, FOREIGN]))
        self.delete()
        wait_for(lambda: self.finalizers() == [FOREIGN], "our finalizer to go")
        self.assertEqual((self.rows(), self.mirrors()), (0, []))
        version = self.get()["metadata"]["resourceVersion"]
        stays(lambda: self.get()["metadata"]["resourceVersion"] == version, "nothing writes it any more", 3)
        self.assertEqual(self.rows(), 0)
        self.cluster.patch(f"{self.repositories}/r", {"metadata": {"finalizers": None}})
        self.wait_gone()

    def test_deleted_while_the_daemon_is_down(self):
        daemon = self.start()
        self.ready()
        self.ready("stays")
        self.assertEqual(daemon.stop(), 0)
        self.delete()
        self.assertIn("deletionTimestamp", self.get()["metadata"])
        self.assertEqual(self.rows(), 4)
        self.start()
        self.wait_gone()
        self.assertEqual(self.rows(), 2)
        self.assertEqual(self.finalizers("stays"), [OURS])

    def test_one_that_this_daemon_never_saw(self):
        manifest = self.manifest()
        manifest["metadata"]["finalizers"] = [OURS]
        self.cluster.apply(manifest)
        self.delete()
        self.assertEqual(self.status_of(), 200)
        self.start()
        self.wait_gone()
        self.assertEqual(self.rows(), 0)

    def test_killed_while_it_deletes(self):
        for turn in range(3):
            daemon = self.start()
            self.ready()
            self.delete()
            time.sleep(0.02 * turn)
            daemon.kill()
            daemon = self.start()
            self.wait_gone()
            wait_for(lambda: self.rows() == 0, "the end of the rows")
            wait_for(lambda: self.mirrors() == [], "the end of the mirror")
            self.assertEqual(daemon.stop(), 0)

    def test_a_sync_that_hangs_is_stopped(self):
        silent = Silent()
        self.addCleanup(silent.close)
        self.start(*EVERY, "--listing-timeout", "10m", "--sync-deadline", "10m")
        self.url, good = f"http://127.0.0.1:{silent.port}/r.git", self.url
        self.cluster.apply(self.manifest())
        wait_for(lambda: silent.count() > 0, "a listing")
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        self.url = good
        self.ready("next")

    def test_made_anew_under_its_name(self):
        self.start()
        first = self.ready()["metadata"]["uid"]
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        second = self.ready()["metadata"]["uid"]
        self.assertNotEqual(first, second)
        self.assertEqual((self.rows(), self.finalizers()), (2, [OURS]))

    def test_a_namespace_that_is_deleted(self):
        self.start()
        for name in ("a", "b", "c"):
            self.ready(name)
        self.cluster.expect("DELETE", f"/api/v1/namespaces/{self.namespace}")
        self.cluster.finish_namespace(self.namespace, 120)
        self.assertEqual((self.rows(), self.mirrors()), (0, []))

    def test_the_finalizer_that_somebody_took_away_comes_back(self):
        self.start()
        self.ready()
        self.cluster.patch(f"{self.repositories}/r", {"metadata": {"finalizers": None}})
        wait_for(lambda: self.finalizers() == [OURS], "our finalizer")
        self.assertEqual(self.rows(), 2)

    def test_one_that_leaves_the_selection_is_let_go_of(self):
        self.start(*EVERY, "--selector", "tier=edge")
        manifest = self.manifest()
        manifest["metadata"]["labels"] = {"tier": "edge"}
        self.cluster.apply(manifest)
        self.wait_reason("Ready")
        self.cluster.patch(f"{self.repositories}/r", {"metadata": {"labels": {"tier": "core"}}})
        wait_for(lambda: self.finalizers() == [], "our finalizer to go")
        self.assertEqual(self.rows(), 0)
        self.cluster.patch(f"{self.repositories}/r", {"metadata": {"labels": {"tier": "edge"}}})
        wait_for(lambda: self.finalizers() == [OURS], "our finalizer again", 120)
        wait_for(lambda: self.rows() == 2, "the rows again", 120)

    def test_a_right_that_is_missing_is_said_and_heals(self):
        self.grant("reader", "get,list,watch", REPOSITORIES)
        self.grant("writer", "patch", f"{REPOSITORIES}/status")
        self.grant("teller", "create,patch", "events")
        for what in (["watch", REPOSITORIES], ["patch", REPOSITORIES, "--subresource=status"]):  # the API server takes a moment to know of a role
            wait_for(lambda w=what: self.cluster.run_kubectl("auth", "can-i", *w, "--as=robot", "-n", self.namespace).returncode == 0, f"the right to {' '.join(what)}")
        daemon = self.start(user="robot")
        for name in ("r", "s", "t"):
            self.cluster.apply(self.manifest(name))
        for name in ("r", "s", "t"):
            message = self.wait_reason("Error", name)["status"]["conditions"][0]["message"]
            self.assertIn(f"the finalizer {OURS} could not be set", message)
        self.assertEqual(self.rows(), 0, "nothing is kept of what is not held")
        said = [line for line in daemon.log().splitlines() if "cannot be changed" in line]
        self.assertEqual(len(said), 1, daemon.log()[-4000:])
        self.assertIn("cannot patch resource", said[0])
        self.grant("holder", "patch", REPOSITORIES)
        for name in ("r", "s", "t"):
            self.wait_reason("Ready", name, 120)
            self.assertEqual(self.finalizers(name), [OURS])
        # Taken away again, it keeps one that is deleted, which says so.
        right = f"grant patch on {REPOSITORIES} in namespace {self.namespace}"
        self.assertIn(right, message)
        self.cluster.kubectl("delete", "rolebinding", "holder", "-n", self.namespace)
        wait_for(lambda: self.cluster.run_kubectl("auth", "can-i", "patch", REPOSITORIES, "--as=robot", "-n", self.namespace).returncode != 0, "the end of the right")
        self.delete("r")
        waits = lambda: self.get("r")["status"]["conditions"][0]["message"]
        wait_for(lambda: "it is being deleted, and waits: its finalizer cannot be taken off" in waits(), "the condition", 60)
        self.assertIn(right, waits())
        ready = daemon.http("/readyz?verbose")[1]
        self.assertIn(f"[!]deletion of Repositories: {self.namespace}/r waits: ", ready)
        self.assertIn(right, ready)
        events = f"/api/v1/namespaces/{self.namespace}/events"
        wait_for(lambda: any("being deleted" in e["message"] for e in self.cluster.expect("GET", events)["items"]), "an event of it", 60)
        self.cluster.kubectl("create", "rolebinding", "holder", "--role=holder", "--user=robot", "-n", self.namespace)
        self.wait_gone("r")
        wait_for(lambda: "[!]deletion" not in daemon.http("/readyz?verbose")[1], "the end of the line", 30)


class WithoutFinalizer(Held):
    def test_none_is_set_and_those_that_are_there_are_taken_off(self):
        daemon = self.start()
        self.ready()
        self.assertEqual(daemon.stop(), 0)
        daemon = self.start(*EVERY, "--finalizer=false")
        self.ready("free")
        self.assertEqual((self.finalizers("free"), self.finalizers()), ([], [OURS]))
        self.cluster.kubectl("delete", "repository", "r", "free", "-n", self.namespace, "--timeout=120s")
        wait_for(lambda: self.rows() == 0, "the end of the rows")
        wait_for(lambda: self.mirrors() == [], "the end of the mirrors")
        self.assertEqual(daemon.stop(), 0)

    def test_one_sync_of_all_sets_none(self):
        self.cluster.apply(self.manifest())
        done = verandad("--once", "--kubeconfig", self.cluster.kubeconfig(), "--namespace", self.namespace, "--data-dir", self.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.finalizers(), [])


class Release(Held):
    def release(self, *flags, user="admin"):
        return verandad("release", "--kubeconfig", self.cluster.kubeconfig(user), "--namespace", self.namespace, *flags)

    def put_revision(self, name, finalizers):
        self.addCleanup(self.cluster.release, CONFIG_API, "packagerevs", self.namespace)
        self.cluster.expect("POST", f"{CONFIG_API}/namespaces/{self.namespace}/packagerevs", {
            "apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "PackageRev",
            "metadata": {"name": name, "labels": {"internal.porch.kpt.dev/repository": name.split(".")[0]}, "finalizers": finalizers}})

    def revision_finalizers(self):
        found = self.cluster.expect("GET", f"{CONFIG_API}/namespaces/{self.namespace}/packagerevs")["items"]
        return {o["metadata"]["name"]: o["metadata"].get("finalizers", []) for o in found}

    def test_it_lets_go_of_all_and_of_the_lease(self):
        daemon = self.start()
        self.ready("a")
        self.ready("b")
        self.assertEqual(daemon.stop(), 0)
        self.cluster.patch(f"{self.repositories}/b", {"metadata": {"finalizers": [FOREIGN, OURS]}})
        self.cluster.apply({**self.manifest("c"), "metadata": {"name": "c", "namespace": self.namespace}})
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        self.cluster.expect("POST", leases, {"metadata": {"name": "veranda"}, "spec": {"holderIdentity": "somebody"}})
        self.put_revision("a.one.v1", [OURS_TOO])
        self.put_revision("b.one.v1", [FOREIGN, OURS_TOO])
        self.put_revision("c.one.v1", [])
        self.delete("a")
        done = self.release("--lease-namespace", self.namespace)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(sorted(lines[:2]), [f"Repository {self.namespace}/a: finalizer removed", f"Repository {self.namespace}/b: finalizer removed"])
        self.assertEqual(lines[2:], [f"Lease {self.namespace}/veranda: removed", "2 Repositories and 2 PackageRevs released, 0 failed"])
        self.assertEqual(self.status_of("a"), 404)
        self.assertEqual((self.finalizers("b"), self.finalizers("c")), ([FOREIGN], []))
        self.assertEqual(self.revision_finalizers(), {"a.one.v1": [], "b.one.v1": [FOREIGN], "c.one.v1": []})
        self.assertEqual(self.cluster.request("GET", f"{leases}/veranda")[0], 404)
        again = self.release("--lease-namespace", self.namespace)
        self.assertEqual((again.returncode, again.stdout.splitlines()), (0, [f"Lease {self.namespace}/veranda: there is none", "0 Repositories and 0 PackageRevs released, 0 failed"]))
        self.cluster.patch(f"{self.repositories}/b", {"metadata": {"finalizers": None}})

    def test_what_it_may_not_do_is_said(self):
        manifest = self.manifest()
        manifest["metadata"]["finalizers"] = [OURS]
        self.cluster.apply(manifest)
        self.grant("looker", "get,list", REPOSITORIES)
        done = self.release("--lease-namespace", self.namespace, user="robot")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, rf"(?m)^Repository {self.namespace}/r: the finalizer was not removed: .*cannot patch resource")
        self.assertRegex(done.stdout, rf"(?m)^the PackageRevs of namespace {self.namespace} cannot be listed: .*cannot list resource")
        self.assertRegex(done.stdout, r"(?m)^Lease .* cannot be read: ")
        self.assertIn("0 Repositories and 0 PackageRevs released, 3 failed", done.stdout)
        self.assertEqual(self.finalizers(), [OURS])
        self.cluster.patch(f"{self.repositories}/r", {"metadata": {"finalizers": None}})

    def test_what_left_the_selection_unseen(self):
        """By its labels, while another daemon goes on with the rest and keeps its Lease."""
        for name, tier in (("here", "edge"), ("left", "core")):
            manifest = self.manifest(name)
            manifest["metadata"].update(labels={"tier": tier}, finalizers=[OURS])
            self.cluster.apply(manifest)
            self.put_revision(f"{name}.one.v1", [OURS_TOO])
        self.start(*EVERY, "--selector", "tier=edge")
        self.wait_reason("Ready", "here")
        self.assertEqual(self.finalizers("left"), [OURS], "another daemon may follow it")
        done = self.release("--selector", "tier!=edge")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.splitlines(), [f"Repository {self.namespace}/left: finalizer removed",
                                                    "Lease: left as it is; --lease-namespace says where the one to be removed is", "1 Repositories and 1 PackageRevs released, 0 failed"])
        self.assertEqual((self.finalizers("here"), self.finalizers("left")), ([OURS], []))
        self.assertEqual(self.revision_finalizers(), {"here.one.v1": [OURS_TOO], "left.one.v1": []})

    def test_while_a_daemon_runs(self):
        """By its Lease nothing is touched; without one, what it sets again is noticed."""
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        leader = self.start(*EVERY, "--leader-elect", "--lease-namespace", self.namespace)
        self.ready()
        holder = self.cluster.expect("GET", f"{leases}/veranda")["spec"]["holderIdentity"]
        done = self.release("--lease-namespace", self.namespace)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        line, sums = done.stdout.splitlines()
        self.assertTrue(line.startswith(f"Lease {self.namespace}/veranda is held by {holder}, which renews it, so nothing was touched: end that daemon first "), line)
        self.assertEqual(sums, "0 Repositories and 0 PackageRevs released, 1 failed")
        self.assertEqual((self.finalizers(), self.cluster.request("GET", f"{leases}/veranda")[0]), ([OURS], 200))
        self.assertEqual(leader.stop(), 0)
        self.start()
        self.ready("s")
        done = self.release()
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("Repositories have got the finalizer again: a daemon still runs; end it, ", done.stdout)

    def test_what_makes_no_sense(self):
        for flags, said in ((["--finalizers"], "flag --finalizers: unknown setting"), (["--listen", "127.0.0.1:1"], "flag --listen: has no meaning with release"),
                            (["--selector", "==="], 'flag --selector: "===": must be a label selector'), (["--lease-name", "x"], "must come together with --lease-namespace")):
            with self.subTest(flags=flags):
                done = self.release(*flags)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn(f"verandad release: {said}" if said.startswith("flag") else said, done.stderr)
        done = verandad("release", "--kubeconfig", self.cluster.kubeconfig(), "--namespace", "nowhere-at-all")
        self.assertEqual((done.returncode, done.stdout.splitlines()[0]), (1, "Namespace nowhere-at-all: there is none; nothing was touched"))
        self.assertIn("Usage: verandad release ", verandad("release", "--help").stdout)

    def test_without_a_server_or_a_configuration(self):
        done = verandad("release", "--kubeconfig", self.folder / "none")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("verandad release: ", done.stderr)
        done = verandad("release", "--finalizers")
        self.assertEqual(done.returncode, 2)
