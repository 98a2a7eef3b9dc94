"""The daemon on a real API server: statuses, events, deletions, outages, and others who write the same objects."""
import http.server
import json
import subprocess
import threading
import time

from harness.daemon import BIN, CLEAN, KubeDaemon, query
from harness.fault_proxy import FaultProxy
from harness.kube import CONFIG_API, CRDS, OTHER_CRDS, KubeCase
from harness.wait import stays, wait_for

REPOSITORIES = "repositories.config.porch.kpt.dev"
EVERY = ("--repo-sync-frequency", "1h", "--health-check-frequency", "1h")


class Synced(KubeCase):
    def setUp(self):
        super().setUp()
        self.git = self.repository("r")
        self.git.publish("one", "v1")
        self.url = self.server().url + "/r.git"

    def start(self, *flags, user="admin", server=None, wait=True):
        daemon = KubeDaemon(self.cluster.kubeconfig(user, server=server), self.data, *(flags or EVERY), "--namespace", self.namespace, wait=wait)
        self.addCleanup(daemon.kill)
        return daemon

    def manifest(self, name="r", **more):
        return {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"type": "git", "git": {"repo": self.url, "branch": "main", **more}}}

    def get(self, name="r"):
        return self.cluster.expect("GET", f"{self.repositories}/{name}")

    def wait_reason(self, reason, name="r", seconds=120):
        def settled():
            found = self.get(name)
            conditions = found.get("status", {}).get("conditions", [])
            good = conditions and conditions[0]["type"] == "Ready" and conditions[0]["reason"] == reason
            return found if good and conditions[0]["observedGeneration"] >= found["metadata"]["generation"] else None
        try:
            return wait_for(settled, f"{reason} on {name}", seconds, 0.1)
        except AssertionError as failed:
            raise AssertionError(f"{failed}; now: {self.get(name).get('status')}") from None

    def rows(self, where="repository IS NOT NULL"):
        return query(self.data, f"SELECT count(*) FROM revisions WHERE {where}")[0][0]

    def grant(self, name, verbs, resources):
        """Lets the user robot do something in the namespace."""
        self.cluster.kubectl("create", "role", name, f"--verb={verbs}", f"--resource={resources}", "-n", self.namespace)
        self.cluster.kubectl("create", "rolebinding", name, f"--role={name}", "--user=robot", "-n", self.namespace)

    def events(self, reason):
        return [e for e in self.cluster.expect("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"] if e["reason"] == reason]


class Life(Synced):
    def test_from_its_creation_to_its_end(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        found = self.wait_reason("Ready")
        status = found["status"]
        told = json.loads(daemon.cli("explain", "r", "-n", self.namespace, "-o", "json"))
        self.assertEqual((told["state"], told["revisions"], told["runs"][-1]["outcome"]), ("ready", status["packageCount"], "ok"))
        self.assertEqual(status["conditions"][0]["status"], "True")
        self.assertIn("next sync scheduled at: " + status["nextFullSyncTime"], status["conditions"][0]["message"])
        self.assertEqual(status["packageCount"], 2)
        self.assertEqual(status["gitCommitHash"], self.git.resolve("main"))
        self.assertIn("True", self.cluster.kubectl("get", "repositories", "r", "-n", self.namespace))
        self.assertIn("condition met", self.cluster.kubectl("wait", "repository/r", "--for=condition=Ready", "-n", self.namespace, "--timeout=60s"))
        wait_for(lambda: self.events("Ready"), "an event")
        self.assertIn("Repository Ready", self.cluster.kubectl("describe", "repository", "r", "-n", self.namespace))
        # Another branch that is not there, then one that is.
        self.cluster.kubectl("patch", "repository", "r", "-n", self.namespace, "--type=merge", "-p", '{"spec":{"git":{"branch":"nowhere"}}}')
        found = self.wait_reason("Error")
        self.assertIn("nowhere", found["status"]["conditions"][0]["message"])
        wait_for(lambda: [e for e in self.events("Error") if e["type"] == "Warning" and e["involvedObject"]["uid"] == found["metadata"]["uid"]], "a warning")
        self.cluster.kubectl("patch", "repository", "r", "-n", self.namespace, "--type=merge", "-p", '{"spec":{"git":{"branch":"main"}}}')
        self.wait_reason("Ready")
        self.assertGreater(self.rows(), 0)
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        wait_for(lambda: self.rows() == 0, "the end of the rows")
        self.assertEqual(self.cluster.expect("GET", self.repositories)["items"], [])
        daemon.stop()

    def test_an_object_that_cannot_be_synced_says_why_and_stops_nobody(self):
        self.start()
        self.cluster.apply({**self.manifest("bad"), "spec": {"type": "git", "git": {"repo": "ftp://example.com/a.git", "branch": "main"}}})
        self.cluster.apply({**self.manifest("secret"), "spec": {"type": "git", "git": {"repo": self.url, "branch": "main", "secretRef": {"name": "s"}}}})
        self.cluster.apply(self.manifest("good"))
        self.wait_reason("Ready", "good")
        self.assertIn("spec.git.repo", self.wait_reason("Error", "bad")["status"]["conditions"][0]["message"])
        message = self.wait_reason("Error", "secret")["status"]["conditions"][0]["message"]
        self.assertIn("(dependency_missing)", message)
        self.assertIn(f"Secret {self.namespace}/s", message)

    def test_steered_with_kubectl(self):
        def kubectl(*arguments):
            self.cluster.kubectl(*arguments, "-n", self.namespace)
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        kubectl("annotate", "repository", "r", "veranda.dev/suspend=true")
        wait_for(lambda: "nextFullSyncTime" not in self.get()["status"], "no next sync")
        self.git.publish("one", "v2")
        kubectl("annotate", "repository", "r", "veranda.dev/suspend-")
        wait_for(lambda: self.get()["status"]["gitCommitHash"] == self.git.resolve("main"), "the sync of the resumed one")
        self.git.publish("one", "v3")
        stamp = subprocess.run(["date", "-u", "+%Y-%m-%dT%H:%M:%S.%NZ"], capture_output=True, text=True, check=True).stdout.strip()
        kubectl("annotate", "--overwrite", "repository", "r", f"veranda.dev/sync-requested-at={stamp}")
        wait_for(lambda: self.get()["status"]["gitCommitHash"] == self.git.resolve("main"), "the sync that was asked for")
        kubectl("patch", "repository", "r", "--type", "merge", "-p", '{"spec":{"sync":{"runOnceAt":"2099-01-31T18:00:00Z"}}}')
        wait_for(lambda: "scheduling one-time sync" in daemon.log(), "the plan")

    def test_our_own_api_says_whom_to_ask(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        for method, path in (("GET", CONFIG_API + "/repositories"), ("GET", self.repositories + "/r"), ("DELETE", self.repositories + "/r")):
            status, answer = daemon.http(path, method)
            self.assertEqual((json.loads(answer)["kind"], status >= 400), ("Status", True), answer)
            self.assertIn("kept by the API server", json.loads(answer)["message"])
        self.assertEqual(len(daemon.items("packagerevisions", self.namespace)), 2)
        wait_for(lambda: "[+]API server ok" in daemon.http("/readyz?verbose")[1], "the last write to be said")

    def test_once(self):
        self.cluster.apply(self.manifest())
        done = subprocess.run([BIN / "verandad", "--once", "--kubeconfig", self.cluster.kubeconfig(), "--namespace", self.namespace, "--data-dir", self.data],
                              env=CLEAN, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rf"(?m)^{self.namespace} +r +True +2 ")
        self.wait_reason("Ready")

    def test_what_it_follows(self):
        other = self.cluster.expect("POST", "/api/v1/namespaces", {"metadata": {"generateName": "other-"}})["metadata"]["name"]
        wanted, unwanted = self.manifest("wanted"), self.manifest("unwanted")
        wanted["metadata"]["labels"] = {"tier": "edge"}
        elsewhere = {**wanted, "metadata": {**wanted["metadata"], "namespace": other}}
        self.cluster.apply(unwanted)
        self.cluster.apply(elsewhere)
        self.cluster.apply(wanted)
        self.start(*EVERY, "--selector", "tier=edge")
        self.wait_reason("Ready", "wanted")
        self.assertNotIn("status", self.get("unwanted"))
        self.assertNotIn("status", self.cluster.expect("GET", f"{CONFIG_API}/namespaces/{other}/repositories/wanted"))


class Trouble(Synced):
    def test_the_api_server_is_killed_and_comes_back(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        self.cluster.kill()
        wait_for(lambda: "[!]repositories" in daemon.http("/readyz?verbose")[1], "the outage to be noticed")
        self.assertEqual(daemon.http("/readyz")[0], 200)
        said = lambda: [line.split("err=")[1] for line in daemon.log().splitlines() if "cannot be followed" in line]
        wait_for(lambda: [reason for reason in said() if "no connection" in reason], "the reason in the log")
        stays(lambda: len(said()) == len(set(said())), "each reason is said once", 5)
        self.assertIn("no connection", said()[-1])
        self.cluster.start()
        self.cluster.apply(self.manifest("late"))
        self.wait_reason("Ready", "late")
        wait_for(lambda: "[+]repositories ok" in daemon.http("/readyz?verbose")[1], "the end of the outage")

    def test_it_ends_in_order_without_its_api_server(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        self.cluster.kill()
        self.addCleanup(self.cluster.start)
        wait_for(lambda: "[!]repositories" in daemon.http("/readyz?verbose")[1], "the outage to be noticed")
        begun = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - begun, 15, "it does not wait for an answer, nor until it may ask again")

    def test_something_that_is_no_api_server(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b"<!DOCTYPE html><title>Please log in</title>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=page.serve_forever, daemon=True).start()
        self.addCleanup(page.server_close)
        self.addCleanup(page.shutdown)
        daemon = self.start(server=f"http://127.0.0.1:{page.server_address[1]}", wait=False)
        wait_for(lambda: "a web page was answered" in daemon.log(), "the reason in the log")
        daemon.wait_listening()
        wait_for(lambda: "a web page was answered" in daemon.http("/readyz")[1], "the reason in the probe")
        stays(lambda: daemon.log().count("cannot be followed") == 1, "the page is told of once", 4)
        self.assertEqual(daemon.stop(), 0)

    def test_a_restart_says_nothing_twice(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        found = self.wait_reason("Ready")
        wait_for(lambda: self.events("Ready"), "an event")
        daemon.stop()
        daemon = self.start()
        wait_for(lambda: sum(value for sample, value in daemon.metrics().items() if sample.startswith("veranda_sync_runs_total")) >= 1, "a sync of the new daemon")
        self.cluster.apply(self.manifest("late"))  # what is to be said of it comes after what there would be to say of the other
        self.wait_reason("Ready", "late")
        told = lambda: {e["involvedObject"]["name"]: e["count"] for e in self.events("Ready")}
        wait_for(lambda: "late" in told(), "an event of the later one")
        self.assertEqual(self.get()["status"]["conditions"][0]["lastTransitionTime"], found["status"]["conditions"][0]["lastTransitionTime"])
        self.assertEqual((told(), len(self.events("Ready"))), ({"r": 1, "late": 1}, 2))

    def test_an_object_deleted_while_nobody_looks(self):
        daemon = self.start()
        self.cluster.apply(self.manifest())
        self.cluster.apply(self.manifest("stays"))
        self.wait_reason("Ready")
        self.wait_reason("Ready", "stays")
        daemon.stop()
        self.cluster.expect("DELETE", f"{self.repositories}/r")
        self.start()
        wait_for(lambda: self.cluster.request("GET", f"{self.repositories}/r")[0] == 404, "its end", 120)
        of = "repository = (SELECT id FROM repositories WHERE name = '{}')"
        wait_for(lambda: self.rows(of.format("r")) == 0, "the end of its rows")
        self.assertEqual(self.rows(of.format("stays")), 2)

    def test_a_status_that_others_write_too(self):
        self.start("--repo-sync-frequency", "1s", "--health-check-frequency", "1h")
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        mine = {"type": "Audited", "status": "True", "reason": "Checked", "message": "fine", "lastTransitionTime": "2026-03-10T10:00:00Z"}
        for n in range(20):
            found = self.get()
            others = [c for c in found["status"]["conditions"] if c["type"] != "Audited"]
            change = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "status": {"conditions": [*others, {**mine, "message": str(n)}]}}
            self.cluster.request("PATCH", f"{self.repositories}/r/status", change, content_type="application/merge-patch+json")
            time.sleep(0.1)
        before = self.get()["status"].get("lastFullSyncTime")
        after = wait_for(lambda: (lambda o: o if o["status"].get("lastFullSyncTime") != before else None)(self.get()), "another sync")
        types = [c["type"] for c in after["status"]["conditions"]]
        self.assertEqual((types[0], types.count("Audited"), types.count("Ready")), ("Ready", 1, 1), types)

    def test_a_status_that_may_not_be_written_heals_with_the_role(self):
        self.grant("reader", "get,list,watch,patch", REPOSITORIES)
        daemon = self.start(user="robot")
        self.cluster.apply(self.manifest())
        wait_for(lambda: "[!]API server: the last write failed (auth_rejected)" in daemon.http("/readyz?verbose")[1], "the refusal to be said")
        wait_for(lambda: self.rows() > 0, "a sync all the same")
        self.grant("writer", "patch", f"{REPOSITORIES}/status")
        self.wait_reason("Ready")

    def test_a_watch_that_is_forbidden_heals_with_the_role(self):
        daemon = self.start(user="robot", wait=False)
        self.cluster.apply(self.manifest())
        wait_for(lambda: "grant list and watch on " + REPOSITORIES in daemon.log(), "the reason in the log")
        daemon.wait_listening()
        wait_for(lambda: daemon.http("/readyz")[0] == 503 and "forbidden" in daemon.http("/readyz")[1], "the reason in the probe")
        self.assertEqual(len([line for line in daemon.log().splitlines() if "cannot be followed" in line]), 1, daemon.log())
        self.grant("all", "get,list,watch,patch", f"{REPOSITORIES},{REPOSITORIES}/status")
        daemon.wait_ready()
        self.wait_reason("Ready")

    users = {"robot": []}


class WithoutDefinition(Synced):
    crds = ()

    def test_it_waits_for_the_definition(self):
        daemon = self.start(wait=False)
        wait_for(lambda: "install its CRD" in daemon.log(), "the reason in the log")
        daemon.wait_listening()
        status, text = daemon.http("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("CRD", text)
        self.cluster.install_crd(CRDS / "repositories.yaml")
        daemon.wait_ready()
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        self.cluster.remove_crd(REPOSITORIES)


class Definitions(Synced):
    """Whatever definition of the kind is installed, a status is written when there is something to say, and not again because the server keeps less of it."""
    crds = ()
    FIELDS = {"conditions", "lastFullSyncTime", "nextFullSyncTime", "observedGeneration", "packageCount", "gitCommitHash"}

    def check(self, file, kept):
        self.cluster.install_crd(file)
        proxy = FaultProxy.before(self.cluster)
        self.addCleanup(proxy.close)
        self.start("--repo-sync-frequency", "2s", "--health-check-frequency", "1s", server=proxy.url)
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        said = lambda: self.get()["status"]["conditions"][0]["message"]
        first = said()
        second = wait_for(lambda: (s := said()) != first and s, "the status of the next sync")
        self.assertEqual(set(self.get()["status"]), kept)
        proxy.forget()
        seen = {second}
        wait_for(lambda: seen.add(said()) or len(seen) >= 4, "three more syncs")
        # One write for each sync; one may have begun before we counted, and one may have been made after we looked.
        self.assertLessEqual(len(proxy.requests("PATCH", "/status")), len(seen) + 1, seen)

    def test_of_porch_1_5_8(self):
        self.check(OTHER_CRDS / "porch-1.5.8" / "repositories.yaml", {"conditions"})

    def test_of_porch_main(self):
        self.check(OTHER_CRDS / "porch-main" / "repositories.yaml", self.FIELDS)

    def test_ours(self):
        self.check(CRDS / "repositories.yaml", self.FIELDS | {"nextSyncCause", "fence"})
