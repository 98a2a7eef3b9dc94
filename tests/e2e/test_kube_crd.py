"""Our CustomResourceDefinitions on a real API server, and Porch's: what they accept, keep, prune, print and explain."""
import json
import re

from harness import ROOT
from harness.kube import CONFIG_API, CRD_API, CRDS, OTHER_CRDS, KubeCase
from harness.wait import wait_for

REPOSITORIES = "repositories.config.porch.kpt.dev"
STATUS = json.loads((ROOT / "tests/data/crds/status.json").read_text())


def repository(name="blueprints", **git):
    return {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "metadata": {"name": name},
            "spec": {"type": "git", "git": {"repo": "https://example.com/a.git", **git}}}


def fields(schema, path=()):
    """Path and schema of every field below; of lists, of their items."""
    inner = schema.get("items", schema)
    for name, field in inner.get("properties", {}).items():
        yield (*path, name), field
        yield from fields(field, (*path, name))


class Definitions(KubeCase):
    def schema(self, name):
        return self.cluster.expect("GET", f"{CRD_API}/{name}")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    def table(self, *arguments):
        """Column titles and, of the only row, the cells."""
        head, row = self.cluster.kubectl("get", *arguments, "-n", self.namespace).splitlines()
        starts = [match.start() for match in re.finditer(r"(?<!\S)\S+(?: \S+)*", head)]
        cells = [row[begin:end].strip() for begin, end in zip(starts, [*starts[1:], None])]
        return dict(zip((head[begin:end].strip() for begin, end in zip(starts, [*starts[1:], None])), cells))

    def test_they_are_served_without_reservations(self):
        for name in (REPOSITORIES, "packagerevs.config.porch.kpt.dev"):
            conditions = {c["type"]: c["status"] for c in self.cluster.expect("GET", f"{CRD_API}/{name}")["status"]["conditions"]}
            self.assertEqual(conditions, {"NamesAccepted": "True", "Established": "True"})

    def test_objects_are_accepted_and_refused_as_by_the_daemon(self):
        rows = json.loads((ROOT / "tests/data/crds/repositories.json").read_text())
        for row in rows:
            with self.subTest(row["name"]):
                status, answer = self.cluster.request("POST", f"{self.repositories}?dryRun=All&fieldValidation=Strict", row["object"])
                if row.get("server", row["accepted"]):
                    self.assertEqual(status, 201, answer)
                else:
                    self.assertIn(status, (400, 422), answer)
                    self.assertNotIn("cost", answer["message"])
                    if "field" in row and "server" not in row:
                        last = row["field"].split(".")[-1]
                        self.assertIn(last, answer["message"])

    def test_defaults(self):
        made = self.cluster.expect("POST", self.repositories, repository())
        self.assertEqual(made["spec"], {"type": "git", "content": "Package", "git": {"repo": "https://example.com/a.git", "branch": "main"}})

    def test_every_field_is_explained(self):
        for name, kind in ((REPOSITORIES, "repositories"), ("packagerevs.config.porch.kpt.dev", "packagerevs")):
            schema = self.schema(name)
            for path, field in fields(schema):
                if path[0] != "metadata":
                    self.assertTrue(field.get("description", "").endswith("."), path)
            whole = " ".join(self.cluster.kubectl("explain", kind).split())
            self.assertIn(" ".join(schema["description"].split()), whole)
        for path in ("spec", "spec.git.branch", "spec.sync.schedule", "status.conditions.message", "status.fence"):
            text = " ".join(self.cluster.kubectl("explain", f"repositories.{path}").split())
            found = dict((".".join(p), f) for p, f in fields(self.schema(REPOSITORIES)))[path]
            self.assertIn(" ".join(found["description"].split()), text)
        self.assertIn("ENUM: git oci", " ".join(self.cluster.kubectl("explain", "repo.spec.type").split()))

    def test_status_is_a_part_of_its_own(self):
        made = self.cluster.expect("POST", self.repositories, repository() | {"status": STATUS})
        self.assertNotIn("status", made)
        path = f"{self.repositories}/blueprints"
        change = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "status": STATUS | {"colour": "red"}, "spec": {"type": "oci"}}
        written = self.cluster.patch(path + "/status", change)
        self.assertEqual(written["status"], STATUS)
        self.assertEqual((written["spec"], written["metadata"]["generation"]), (made["spec"], 1))
        again = self.cluster.patch(path + "/status", {"status": STATUS | {"colour": "red"}})
        self.assertEqual(again["metadata"]["resourceVersion"], written["metadata"]["resourceVersion"], "what is pruned is no change")
        self.assertEqual(self.cluster.request("PATCH", path + "/status", change, content_type="application/merge-patch+json")[0], 409)
        ready = STATUS["conditions"][0]
        for wrong in (ready | {"status": "true"}, ready | {"reason": ""}, ready | {"reason": "no word"}, {k: v for k, v in ready.items() if k != "message"},
                      ready | {"lastTransitionTime": "now"}, ready | {"message": "m" * 32769}):
            status, answer = self.cluster.request("PATCH", path + "/status", {"status": {"conditions": [wrong]}}, content_type="application/merge-patch+json")
            self.assertEqual(status, 422, answer)
        self.assertEqual(self.cluster.request("PATCH", path + "/status", {"status": {"conditions": [ready, ready]}}, content_type="application/merge-patch+json")[0], 422)
        self.assertEqual(self.cluster.patch(path, {"status": {"packageCount": 1}})["status"], STATUS)

    def test_what_is_printed(self):
        self.cluster.expect("POST", self.repositories, repository(directory="packages") | {"metadata": {"name": "blueprints"}})
        row = self.table("repositories")
        self.assertEqual((row["NAME"], row["TYPE"], row["ADDRESS"], row["BRANCH"]), ("blueprints", "git", "https://example.com/a.git", "main"))
        self.cluster.patch(f"{self.repositories}/blueprints/status", {"status": STATUS})
        row = self.table("repo")
        self.assertEqual((row["READY"], row["PACKAGES"], row["NEXT SYNC"]), ("True", "42", "2026-03-10T10:17:30Z"))
        self.assertRegex(row["AGE"], r"^\d+s$")
        wide = self.table("repo", "-o", "wide")
        self.assertEqual((wide["REASON"], wide["COMMIT"], wide["DIRECTORY"], wide["CONTENT"]), ("Ready", STATUS["gitCommitHash"], "packages", "Package"))
        self.cluster.expect("DELETE", f"{self.repositories}/blueprints")
        self.cluster.expect("POST", self.repositories, repository("images") | {"spec": {"type": "oci", "oci": {"registry": "registry.example.com/x"}}})
        self.assertEqual(self.table("repositories")["ADDRESS"], "registry.example.com/x")

    def test_package_revs(self):
        path = f"{CONFIG_API}/namespaces/{self.namespace}/packagerevs"
        name, finalizer = "blueprints.a.b.v1", "internal.porch.kpt.dev/packagerevision"
        made = self.cluster.expect("POST", path, {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "PackageRev", "spec": {}, "metadata": {
            "name": name, "labels": {"internal.porch.kpt.dev/repository": "blueprints"}, "annotations": {"a": "b"}, "finalizers": [finalizer]}})
        self.assertEqual(made["metadata"]["finalizers"], [finalizer])
        row = self.table("packagerevs")
        self.assertEqual((row["NAME"], row["REPOSITORY"]), (name, "blueprints"))
        self.assertEqual(len(self.cluster.expect("GET", path + "?labelSelector=internal.porch.kpt.dev%2Frepository%3Dblueprints")["items"]), 1)
        self.assertEqual(self.cluster.patch(f"{path}/{name}", {"spec": {"colour": "red"}, "colour": "red"}).keys(), {"apiVersion", "kind", "metadata", "spec"})
        self.cluster.expect("DELETE", f"{path}/{name}")
        self.cluster.patch(f"{path}/{name}", {"metadata": {"finalizers": None}})
        self.assertEqual(self.cluster.request("GET", f"{path}/{name}")[0], 404)

    def test_a_life_with_kubectl(self):
        kubectl, here = self.cluster.kubectl, ("-n", self.namespace)
        self.assertIn("created", self.cluster.apply(repository(), *here))
        self.assertIn("unchanged", self.cluster.apply(repository(), *here))
        self.assertIn("configured", self.cluster.apply(repository(branch="release-1.2"), *here))
        self.assertIn("serverside-applied", self.cluster.apply(repository(branch="release-1.2"), "--server-side", "--force-conflicts", *here))
        refused = self.cluster.run_kubectl("apply", "-f", "-", *here, input=json.dumps(repository(branch="a b")))
        self.assertEqual(refused.returncode, 1)
        self.assertIn("must be a valid git branch name", refused.stderr)
        self.cluster.patch(f"{self.repositories}/blueprints/status", {"status": STATUS})
        kubectl("wait", "--for=condition=Ready", "repository/blueprints", "--timeout=20s", *here)
        self.assertIn("Next Full Sync Time", kubectl("describe", "repository", "blueprints", *here))
        kubectl("delete", "repository", "blueprints", *here)
        self.assertEqual(kubectl("get", "repositories", *here), "")


class PorchDefinitions(KubeCase):
    """A cluster that has Porch's definition, and may change over to ours."""
    crds = ()

    KEPT = {"porch-1.5.8": {"conditions"},
            "porch-main": {"conditions", "lastFullSyncTime", "nextFullSyncTime", "observedGeneration", "observedRunOnceAt", "packageCount", "gitCommitHash"}}

    def setUp(self):
        super().setUp()
        self.addCleanup(self.cluster.remove_crd, REPOSITORIES)
        self.path = f"{self.repositories}/blueprints"

    def test_what_of_our_status_is_kept(self):
        for version, kept in self.KEPT.items():
            with self.subTest(version):
                self.cluster.install_crd(OTHER_CRDS / version / "repositories.yaml")
                self.cluster.expect("POST", self.repositories, repository())
                written = self.cluster.patch(self.path + "/status", {"status": STATUS})
                self.assertEqual(written["status"], {key: value for key, value in STATUS.items() if key in kept})
                again = self.cluster.patch(self.path + "/status", {"status": STATUS})
                self.assertEqual(again["metadata"]["resourceVersion"], written["metadata"]["resourceVersion"])
                head = self.cluster.kubectl("get", "repositories", "-n", self.namespace).splitlines()[0]
                wanted = ["NAME", "TYPE", "CONTENT", "SYNC SCHEDULE", "DEPLOYMENT", "READY", "ADDRESS"] + (["BRANCH", "AGE"] if version == "porch-main" else [])
                self.assertEqual(re.split(r" {2,}", head.strip()), wanted)
                self.cluster.remove_crd(REPOSITORIES)

    def test_what_main_does_not_let_change(self):
        self.cluster.install_crd(OTHER_CRDS / "porch-main" / "repositories.yaml")
        self.cluster.expect("POST", self.repositories, repository())
        for change in ({"branch": "other"}, {"repo": "https://example.com/b.git"}):
            status, answer = self.cluster.request("PATCH", self.path, {"spec": {"git": change}}, content_type="application/merge-patch+json")
            self.assertEqual(status, 422, answer)
            self.assertIn("immutable", answer["message"])
        self.cluster.patch(self.path, {"spec": {"git": {"directory": "packages"}, "sync": {"schedule": "@daily"}}})

    def test_objects_that_our_definition_would_refuse_live_on_under_it(self):
        for version in self.KEPT:
            with self.subTest(version):
                self.cluster.install_crd(OTHER_CRDS / version / "repositories.yaml")
                self.cluster.expect("POST", self.repositories, repository(branch="a b", secretRef={"name": "Auth"}) | {"metadata": {
                    "name": "blueprints", "finalizers": ["config.porch.kpt.dev/repository"]}})
                self.cluster.install_crd(CRDS / "repositories.yaml")
                ours = wait_for(lambda: self.cluster.request("POST", f"{self.repositories}?dryRun=All", repository("x", branch="a b"))[0] == 422, "our rules")
                self.assertTrue(ours)
                self.assertEqual(self.cluster.patch(self.path + "/status", {"status": STATUS})["status"], STATUS)
                self.cluster.patch(self.path, {"metadata": {"annotations": {"veranda.dev/suspend": "true"}}})
                self.cluster.patch(self.path, {"spec": {"description": "still changed"}})
                self.assertEqual(self.cluster.request("PATCH", self.path, {"spec": {"git": {"branch": "c d"}}}, content_type="application/merge-patch+json")[0], 422)
                self.cluster.patch(self.path, {"spec": {"git": {"branch": "main"}}})
                self.cluster.expect("DELETE", self.path)
                self.cluster.patch(self.path, {"metadata": {"finalizers": None}})
                self.cluster.remove_crd(REPOSITORIES)
