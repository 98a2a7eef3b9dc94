"""The HTTP API: who may ask, selectors, watches, contents, two instances side by side."""
import http.client
import json

from harness.case import Case, manifest
from harness.daemon import verandad
from harness.git import package

REPOSITORIES = "/apis/config.porch.kpt.dev/v1alpha1/namespaces/default/repositories"
REVISIONS = "/apis/porch.kpt.dev/v1alpha1/namespaces/default/packagerevisions"


class Api(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a/b", 1)
        self.remote.commit("main", {"bin/Kptfile": package("bin")["bin/Kptfile"], "bin/blob.bin": b"\0\xff\xfe", "bin/latin.txt": b"caf\xe9"})
        self.write("r.yaml", manifest("r", self.remote.path))
        self.running = self.daemon()
        self.running.wait_condition("r", "Ready")

    def test_probes_need_no_token_and_the_api_does(self):
        for path in ("/livez", "/readyz", "/metrics"):
            self.assertEqual(self.running.http(path, headers={"Authorization": ""})[0], 200, path)
        self.assertEqual(self.running.http(REPOSITORIES)[0], 200)
        for wrong in ("", "Bearer wrong", "Bearer ", "Basic " + self.running.token()):
            for path in (REPOSITORIES, REVISIONS, "/dump", "/apis"):
                self.assertEqual(self.running.http(path, headers={"Authorization": wrong})[0], 401, (path, wrong))
        self.assertEqual(self.running.http(REPOSITORIES, "POST", "{}", {"Authorization": ""})[0], 401)
        self.assertEqual(json.loads(self.running.http(REPOSITORIES + "/none")[1])["kind"], "Status")
        self.assertEqual(self.running.http(REPOSITORIES + "/none")[0], 404)

    def test_foreign_hosts_and_origins_are_refused(self):
        for headers in ({"Host": "evil.example.org"}, {"Host": "evil.example.org:7878"}, {"Origin": "http://evil.example.org"}):
            self.assertIn(self.running.http(REPOSITORIES, headers=headers)[0], (403, 421), headers)
            self.assertIn(self.running.http(REPOSITORIES, "POST", "{}", headers)[0], (403, 421), headers)
        self.assertEqual(self.running.http(REPOSITORIES, headers={"Host": f"localhost:{self.running.port}"})[0], 200)

    def test_token_files(self):
        self.assertEqual((self.data / "token").stat().st_mode & 0o777, 0o600)
        self.assertGreaterEqual(len(self.running.token()), 32)
        own = self.folder / "own-token"
        other = self.daemon(f"--token-file={own}", data=self.folder / "data-2")
        self.assertEqual(own.stat().st_mode & 0o777, 0o600)
        self.assertEqual(other.http(REPOSITORIES, headers={"Authorization": "Bearer " + own.read_text().strip()})[0], 200)
        self.assertEqual(other.http(REPOSITORIES, headers={"Authorization": "Bearer " + self.running.token()})[0], 401)

    def test_the_listener_is_loopback_or_has_tls(self):
        done = verandad("--listen=0.0.0.0:0", "--data-dir", self.folder / "data-3")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("tls-certificate", done.stderr)

    def test_selectors(self):
        def names(*arguments):
            return set(self.running.cli("get", "packagerevisions", "-o", "name", *arguments).replace("packagerevision.porch.kpt.dev/", "").split())
        every = {"r.a.b.v1", "r.a.b.main", "r.bin.main"}
        rows = [(("-l", "kpt.dev/latest-revision=true"), {"r.a.b.v1"}), (("-l", "kpt.dev/latest-revision!=true"), every - {"r.a.b.v1"}),
                (("-l", "kpt.dev/latest-revision"), {"r.a.b.v1"}), (("-l", "!kpt.dev/latest-revision"), every - {"r.a.b.v1"}),
                (("-l", "kpt.dev/latest-revision in (true, maybe)"), {"r.a.b.v1"}),
                (("--field-selector", "spec.packageName=bin"), {"r.bin.main"}), (("--field-selector", "spec.repository!=r"), set()),
                (("--field-selector", "metadata.name=r.a.b.v1"), {"r.a.b.v1"}), (("--field-selector", "spec.revision=1,spec.lifecycle=Published"), {"r.a.b.v1"}),
                (("r.bin.main",), {"r.bin.main"}), (("-A",), every)]
        for arguments, wanted in rows:
            with self.subTest(arguments):
                self.assertEqual(names(*arguments), wanted)
        for arguments in (("-l", "a in ("), ("--field-selector", "spec.colour=red")):
            self.running.cli("get", "packagerevisions", *arguments, status=1)

    def test_lists_of_several_pages(self):
        many = self.repository("many")
        many.commit("main", {path: text for n in range(1100) for path, text in package(f"p{n}").items()})
        self.write("many.yaml", manifest("many", many.path))
        self.running.wait_condition("many", "Ready")
        wanted = {f"many.p{n}.main" for n in range(1100)}
        self.assertEqual(set(self.running.revisions("many")), wanted)
        self.assertEqual(len([r for r in self.running.items("packagerevisionresources") if r["metadata"]["name"] in wanted]), 1100)
        for output, lines in (("name", 1103), ("table", 1104), ("wide", 1104)):
            self.assertEqual(len(self.running.cli("get", "packagerevisions", "-o", output).splitlines()), lines, output)
        self.assertEqual(self.running.cli("get", "packagerevisions", "-o", "yaml").count("\n    workspaceName: main"), 1102)

    def test_watch_while_commits_arrive(self):
        status, text = self.running.http(REVISIONS)
        begin = json.loads(text)["metadata"]["resourceVersion"]
        events = self.running.events(f"{REVISIONS}?watch=true&resourceVersion={begin}")
        self.addCleanup(events.close)
        self.remote.publish("a/b", 2)
        self.running.cli("sync", "r")
        seen = {}
        while "r.a.b.v2" not in seen or "r.a.b.v1" not in seen:
            event = next(events)
            seen.setdefault(event["object"]["metadata"]["name"], []).append((event["type"], event["object"]["metadata"].get("labels", {}).get("kpt.dev/latest-revision")))
        self.assertEqual(seen["r.a.b.v2"], [("ADDED", "true")])
        self.assertEqual(seen["r.a.b.v1"], [("MODIFIED", None)], "no longer the latest")
        self.remote.delete("refs/tags/a/b/v2")
        self.running.cli("sync", "r")
        deleted = next(event for event in events if event["type"] == "DELETED")
        self.assertEqual(deleted["object"]["metadata"]["name"], "r.a.b.v2")
        self.assertGreater(int(deleted["object"]["metadata"]["resourceVersion"]), int(begin))

    def test_a_watch_goes_on_after_a_restart(self):
        begin = json.loads(self.running.http(REVISIONS)[1])["metadata"]["resourceVersion"]
        self.remote.publish("a/b", 2)
        self.running.cli("sync", "r", "--wait")
        self.running.kill()
        again = self.daemon()
        events = again.events(f"{REVISIONS}?watch=true&resourceVersion={begin}")
        self.addCleanup(events.close)
        seen = {}
        while len(seen) < 3:
            event = next(events)
            seen[event["object"]["metadata"]["name"]] = event["type"]
        self.assertEqual(seen, {"r.a.b.v2": "ADDED", "r.a.b.v1": "MODIFIED", "r.a.b.main": "MODIFIED"})

    def test_a_position_of_another_life_is_gone(self):
        status, text = self.running.http(f"{REVISIONS}?watch=true&resourceVersion=1")
        self.assertTrue(status == 410 or '"code":410' in text.replace(" ", ""), (status, text[:500]))

    def test_contents_and_files_that_are_no_text(self):
        resources = {r["metadata"]["name"]: r for r in self.running.items("packagerevisionresources")}
        binary = resources["r.bin.main"]
        self.assertEqual(set(binary["spec"]["resources"]), {"Kptfile"})
        named = binary["metadata"]["annotations"]["veranda.dev/binary-resources"]
        self.assertIn("blob.bin (3)", named)
        self.assertIn("latin.txt (4)", named)
        self.assertEqual(resources["r.a.b.v1"]["spec"]["resources"], {p.removeprefix("a/b/"): text for p, text in package("a/b", 1).items()})

    def test_apply_of_what_is_invalid_names_field_and_value(self):
        body = {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "metadata": {"name": "x"}, "spec": {"type": "git", "git": {"repo": "ftp://x/y"}}}
        status, text = self.running.http(REPOSITORIES, "POST", json.dumps(body), {"Content-Type": "application/json"})
        if status == 201:  # taken, and refused by its condition
            text = self.running.wait_condition("x", "Error")["message"]
        self.assertIn("spec.git.repo", text)
        self.assertIn("ftp", text)
        for broken in ("{", "[]", '{"kind":"Pod"}', '"' + "x" * 100 + '"'):
            status, text = self.running.http(REPOSITORIES, "POST", broken, {"Content-Type": "application/json"})
            self.assertIn(status, (400, 415, 422), (broken, text))
            self.assertEqual(json.loads(text)["kind"], "Status")

    def test_broken_requests_end_nothing(self):
        for text in (b"\0\0\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"):
            connection = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=60)
            connection.connect()
            try:
                connection.sock.sendall(text)
                connection.sock.recv(1000)
            except ConnectionError:
                pass
            connection.close()
        self.assertEqual(self.running.http("/livez")[0], 200)

    def test_two_instances_side_by_side(self):
        manifests = self.folder / "manifests-2"
        manifests.mkdir()
        (manifests / "s.yaml").write_text(manifest("s", self.remote.path))
        self.manifests = manifests
        second = self.daemon(data=self.folder / "data-2")
        second.wait_condition("s", "Ready")
        self.assertEqual([r["metadata"]["name"] for r in second.items("repositories")], ["s"])
        self.assertEqual([r["metadata"]["name"] for r in self.running.items("repositories")], ["r"])
        self.assertEqual(second.http(REPOSITORIES, headers={"Authorization": "Bearer " + self.running.token()})[0], 401)
        self.assertEqual(second.stop(), 0)
        self.assertEqual(self.running.http("/readyz")[0], 200)
