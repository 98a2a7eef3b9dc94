"""Manifests in, objects and conditions out: the life of a Repository."""
import json
import pathlib
import subprocess

from harness.case import Case, manifest, secret
from harness.git import package
from harness.wait import wait_for


class Lifecycle(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a/first", 1)

    def names(self, daemon):
        return {r["metadata"]["name"] for r in daemon.items("repositories")}

    def test_added_changed_replaced_removed(self):
        daemon = self.daemon()
        self.assertEqual(self.names(daemon), set())
        self.write("r.yaml", manifest("r", self.remote.path))
        daemon.wait_condition("r", "Ready")
        first = daemon.repository("r")
        self.assertEqual(first["metadata"]["annotations"]["veranda.dev/managed-by"], "r.yaml")
        self.assertEqual(first["metadata"]["generation"], 1)
        self.assertEqual(set(daemon.revisions("r")), {"r.a.first.v1", "r.a.first.main"})

        self.remote.commit("other", package("b/second"))
        self.write("r.yaml", manifest("r", self.remote.path, branch="other"))
        wait_for(lambda: set(daemon.revisions("r")) == {"r.a.first.v1", "r.b.second.other"}, "packages of the other branch")
        changed = daemon.wait_condition("r", "Ready") and daemon.repository("r")
        self.assertEqual(changed["metadata"]["uid"], first["metadata"]["uid"])
        self.assertEqual(changed["metadata"]["generation"], 2)

        (self.manifests / "r.yaml").rename(self.manifests / "renamed.yaml")
        wait_for(lambda: (daemon.repository("r") or {}).get("metadata", {}).get("annotations", {}).get("veranda.dev/managed-by") == "renamed.yaml", "the new owner")

        self.remove("renamed.yaml")
        wait_for(lambda: not self.names(daemon), "removal of the Repository")
        wait_for(lambda: not daemon.revisions(), "removal of its packages")
        wait_for(lambda: not list((self.data / "mirrors").glob("*.git")) if (self.data / "mirrors").exists() else True, "removal of its mirror")

    def test_json_several_documents_and_lists(self):
        one = {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "metadata": {"name": "j"}, "spec": {"type": "git", "git": {"repo": self.remote.path}}}
        two, three = (json.loads(json.dumps(one)) | {"metadata": {"name": name}} for name in ("l1", "l2"))
        (self.manifests / "j.json").write_text(json.dumps(one))
        (self.manifests / "list.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [two, three]}))
        self.write("several.yaml", manifest("m1", self.remote.path), manifest("m2", self.remote.path, namespace="team-a"))
        daemon = self.daemon()
        for name in ("j", "l1", "l2", "m1"):
            daemon.wait_condition(name, "Ready")
        daemon.wait_condition("m2", "Ready", namespace="team-a")

    def test_broken_document_keeps_the_last_good_version(self):
        self.write("good.yaml", manifest("good", self.remote.path))
        self.write("r.yaml", manifest("r", self.remote.path))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        daemon.wait_condition("good", "Ready")
        uid = daemon.repository("r")["metadata"]["uid"]
        self.write("r.yaml", "apiVersion: config.porch.kpt.dev/v1alpha1\nkind: Repository\nmetadata: [\n")
        wait_for(lambda: "r.yaml" in daemon.log(), "a word about the broken file")
        self.assertEqual(daemon.repository("r")["metadata"]["uid"], uid)
        self.assertEqual(set(daemon.revisions("r")), {"r.a.first.v1", "r.a.first.main"})
        self.remote.publish("a/first", 2)
        daemon.cli("sync", "good", "--wait")
        self.assertIn("good.a.first.v2", daemon.revisions("good"))
        self.write("r.yaml", manifest("r", self.remote.path))
        daemon.cli("sync", "r", "--wait")
        self.assertIn("r.a.first.v2", daemon.revisions("r"))

    def test_apply_and_delete_but_not_what_a_file_owns(self):
        self.write("r.yaml", manifest("r", self.remote.path))
        daemon = self.daemon()
        daemon.wait_condition("r", "Ready")
        own = pathlib.Path(self.folder, "own.yaml")
        own.write_text(manifest("own", self.remote.path))
        daemon.cli("apply", "-f", own)
        daemon.wait_condition("own", "Ready")
        daemon.cli("delete", "-f", own)
        wait_for(lambda: daemon.repository("own") is None, "deletion")
        own.write_text(manifest("r", self.remote.path, branch="other"))
        daemon.cli("apply", "-f", own, status=1)
        daemon.cli("delete", "-f", own, status=1)
        self.assertEqual(daemon.repository("r")["spec"]["git"]["branch"], "main")

    def test_many_deletions_at_once_are_held_until_permitted(self):
        everything = {f"r{n}" for n in range(30)}
        gone = {f"r{n}" for n in range(2, 22)}
        for name in everything - gone:
            self.write(f"{name}.yaml", manifest(name, self.remote.path))
        self.write("gone.yaml", *(manifest(name, self.remote.path) for name in sorted(gone)))
        daemon = self.daemon()
        self.assertEqual(self.names(daemon), everything)

        self.remove("r0.yaml")
        self.remove("r1.yaml")
        wait_for(lambda: self.names(daemon) == everything - {"r0", "r1"}, "removal of one or two")

        self.remove("gone.yaml")  # all at once: file by file, some might be seen before the rest
        line = wait_for(lambda: next((line for line in daemon.log().splitlines() if "DeletionHeld: 20 of 28" in line), None), "a word about the hold")
        command = f"touch {self.data}/allow-deletion"
        self.assertIn(command, line)
        self.assertIn(command, daemon.http("/readyz?verbose")[1])
        self.assertEqual(daemon.metrics()["veranda_source_manifest_problems"], 1)
        self.assertEqual(self.names(daemon), everything - {"r0", "r1"})

        subprocess.run(command, shell=True, check=True)
        wait_for(lambda: self.names(daemon) == everything - {"r0", "r1"} - gone, "removal of what was held")
        wait_for(lambda: not daemon.revisions("r2"), "removal of its packages")
        self.assertFalse((self.data / "allow-deletion").exists())
        self.assertNotIn("DeletionHeld", daemon.http("/readyz?verbose")[1])

    def test_deletions_are_not_held_when_the_settings_say_so(self):
        for n in range(12):
            self.write(f"r{n}.yaml", manifest(f"r{n}", self.remote.path))
        daemon = self.daemon("--allow-manifest-deletion")
        self.assertEqual(len(self.names(daemon)), 12)
        for file in list(self.manifests.iterdir()):
            file.unlink()
        wait_for(lambda: not self.names(daemon), "removal of everything")

    def test_secrets_that_others_can_read_are_warned_about_once(self):
        credentials = secret("robot", "kubernetes.io/basic-auth", {"username": "robot", "password": "pa55"})
        self.write("secret.yaml", credentials)
        daemon = self.daemon()
        self.folder.chmod(0o711)
        self.manifests.chmod(0o711)

        def warnings():
            return [line for line in daemon.log().splitlines() if "can read the Secrets in this file: chmod o-r" in line]
        self.assertEqual(warnings(), [])
        (self.manifests / "secret.yaml").chmod(0o644)
        wait_for(lambda: len(warnings()) == 1, "a warning")
        self.assertIn("secret.yaml", warnings()[0])
        self.write("r.yaml", manifest("r", self.remote.path))
        daemon.wait_condition("r", "Ready")
        self.assertEqual(len(warnings()), 1)
        with (self.manifests / "secret.yaml").open("a") as file:
            file.write("# changed\n")
        wait_for(lambda: len(warnings()) == 2, "another warning")
        self.assertNotIn("pa55", daemon.log())

    def test_deleted_during_its_sync(self):
        for number in range(30):
            self.remote.publish(f"many/p{number}", 1)
        self.write("r.yaml", manifest("r", self.remote.path))
        self.write("stays.yaml", manifest("stays", self.remote.path))
        daemon = self.daemon()
        wait_for(lambda: daemon.repository("r"), "the Repository")
        self.remove("r.yaml")
        wait_for(lambda: daemon.repository("r") is None, "removal of the Repository")
        wait_for(lambda: not daemon.revisions("r"), "removal of its packages")
        daemon.wait_condition("stays", "Ready")
        self.assertEqual(len(daemon.revisions("stays")), 62)
        wait_for(lambda: '"default/r"' not in daemon.cli("dump", "-o", "json"), "the end of its actor")

    def test_changed_during_its_sync(self):
        for number in range(30):
            self.remote.publish(f"many/p{number}", 1)
        self.remote.commit("other", package("team/only"))
        self.write("r.yaml", manifest("r", self.remote.path))
        daemon = self.daemon()
        wait_for(lambda: daemon.repository("r"), "the Repository")
        self.write("r.yaml", manifest("r", self.remote.path, branch="other", directory="team"))
        wait_for(lambda: daemon.repository("r")["metadata"]["generation"] == 2 and daemon.wait_condition("r", "Ready"), "the new spec")
        self.assert_as_scanned(daemon, "r", self.remote.path, "--branch", "other", "--directory", "team")

    def test_same_names_in_two_namespaces(self):
        other = self.repository("other")
        other.publish("b", 1)
        self.write("r.yaml", manifest("r", self.remote.path, namespace="one"), manifest("r", other.path, namespace="two"))
        daemon = self.daemon()
        for namespace in ("one", "two"):
            daemon.wait_condition("r", "Ready", namespace=namespace)
        self.assertEqual(set(daemon.revisions("r", "one")), {"r.a.first.v1", "r.a.first.main"})
        self.assertEqual(set(daemon.revisions("r", "two")), {"r.b.v1", "r.b.main"})
        self.write("r.yaml", manifest("r", other.path, namespace="two"))
        wait_for(lambda: not daemon.revisions("r", "one"), "removal in one namespace")
        self.assertEqual(set(daemon.revisions("r", "two")), {"r.b.v1", "r.b.main"})
