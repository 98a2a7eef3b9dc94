"""What every suite stands on."""
import base64
import json
import pathlib
import shutil
import tempfile
import unittest

from .daemon import Daemon, veranda
from .git import Repository
from .git_server import GitServer
from .wait import LONG, wait_for

MANIFEST = """apiVersion: config.porch.kpt.dev/v1alpha1
kind: Repository
metadata:
  name: {name}
  namespace: {namespace}
{annotations}spec:
  type: git
{sync}  git:
    repo: "{repo}"
    branch: "{branch}"
{more}"""


def manifest(name, repo, branch="main", directory="", secret="", namespace="default", schedule="", run_once_at="", annotations=None):
    more = (f'    directory: "{directory}"\n' if directory else "") + (f"    secretRef:\n      name: {secret}\n" if secret else "")
    sync = "".join(f'    {key}: "{value}"\n' for key, value in (("schedule", schedule), ("runOnceAt", run_once_at)) if value)
    notes = "".join(f'    {key}: "{value}"\n' for key, value in (annotations or {}).items())
    return MANIFEST.format(name=name, repo=repo, branch=branch, namespace=namespace, more=more, sync="  sync:\n" + sync if sync else "",
                           annotations="  annotations:\n" + notes if notes else "")


def secret(name, kind, data, namespace="default"):
    lines = "".join(f"  {key}: {base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\ntype: {kind}\ndata:\n{lines}"


class Case(unittest.TestCase):
    """A folder of its own with manifests/ and data/; what it starts ends with it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.manifests = self.folder / "manifests"
        self.manifests.mkdir()
        self.data = self.folder / "data"
        self.git_root = self.folder / "git"
        self.git_root.mkdir()

    def repository(self, name="r", **more):
        return Repository(self.git_root / f"{name}.git", **more)

    def server(self, **more):
        server = GitServer(self.folder / f"server-{len(list(self.folder.iterdir()))}", self.git_root, **more)
        self.addCleanup(server.close)
        return server

    def daemon(self, *flags, data=None, **more):
        daemon = Daemon(self.manifests, data or self.data, *flags, **more)
        self.addCleanup(daemon.kill)
        return daemon

    def write(self, file, *documents):
        """Replaces a manifest file at once, by rename."""
        new = self.folder / "new-manifest"
        new.write_text("---\n".join(documents))
        new.chmod(0o600)
        new.rename(self.manifests / file)

    def remove(self, file):
        (self.manifests / file).unlink()

    def told(self, daemon, text, name="r"):
        """The message of the condition once `text` is in it."""
        return wait_for(lambda: (message := daemon.condition(name).get("message", "")) and text in message and message, f"{text} on {name}", 2 * LONG)

    def assert_nothing_failed(self, daemon):
        """No listing and no sync in this life of the daemon."""
        for what in ("veranda_remote_listings_total", "veranda_sync_runs_total"):
            found = {name: count for name, count in daemon.metrics().items() if name.startswith(what + "{")}
            self.assertTrue([name for name in found if 'result="success"' in name], f"{what} tells of what went well")
            self.assertEqual(sum(count for name, count in found.items() if 'result="failure"' in name), 0, found)

    def assert_as_scanned(self, daemon, name, url, *flags, namespace="default"):
        """What the daemon holds of one repository is what a scan without state finds now."""
        done = veranda("scan", url, "--name", name, "-o", "json", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        scanned = {r["metadata"]["name"]: substance(r) for r in json.loads(done.stdout)["items"]}
        self.assertTrue(scanned)
        self.assertEqual({key: substance(r) for key, r in daemon.revisions(name, namespace).items()}, scanned)


def substance(revision):
    """All of a package revision but what only a store knows."""
    metadata = {key: value for key, value in revision["metadata"].items() if key not in ("resourceVersion", "creationTimestamp")}
    return revision | {"metadata": metadata}
