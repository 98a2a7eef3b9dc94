"""A Kubernetes API server for the tests, without internet, and kubectl as users have it.

No controller manager runs: nothing makes default service accounts, collects garbage or finishes namespaces (`finish_namespace` does).
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse

from . import ROOT
from .case import Case
from .kube_servers import Servers, binaries
from .wait import wait_for

CRDS = ROOT / "config/kubernetes/crd"
OTHER_CRDS = ROOT / "tests/data/crds"
CONFIG_API = "/apis/config.porch.kpt.dev/v1alpha1"
CRD_API = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Cluster(Servers):
    """The API server, and what one does with it. Constructed as `Servers`."""

    # -- who asks

    def account_token(self, account, namespace="default", seconds=3600):
        """A token of a service account, which is made when it is not there. Deleting the account revokes it."""
        base = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.request("POST", base, {"metadata": {"name": account}})
        return self.expect("POST", f"{base}/{account}/token", {"spec": {"expirationSeconds": seconds}})["status"]["token"]

    def client_certificate(self, user, groups=()):
        """Files of a certificate and its key that say who somebody is."""
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{user}.key", "-out", f"{user}.csr", "-subj", subject)
        openssl("x509", "-req", "-in", f"{user}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", f"{user}.crt")
        return self.folder / f"{user}.crt", self.folder / f"{user}.key"

    def kubeconfig(self, user="admin", credentials=None, server=None, namespace="default"):
        """A kubeconfig file. `credentials`: its user entry, instead of the token of `user`; `server`: a proxy to go through, whose certificate is of our CA."""
        if credentials is None:
            credentials = {"token": self.token(user)}
        document = {"apiVersion": "v1", "kind": "Config", "current-context": "test",
                    "clusters": [{"name": "test", "cluster": {"server": server or self.url, "certificate-authority": str(self.ca)}}],
                    "users": [{"name": user, "user": credentials}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": namespace}}]}
        handle, path = tempfile.mkstemp(prefix=f"kubeconfig-{user}-", dir=self.folder)
        with os.fdopen(handle, "w") as out:
            json.dump(document, out)
        return pathlib.Path(path)

    def in_cluster(self, account, namespace="default"):
        """A folder as the kubelet mounts it for a service account: token, ca.crt, namespace."""
        at = pathlib.Path(tempfile.mkdtemp(prefix="account-", dir=self.folder))
        (at / "token").write_text(self.account_token(account, namespace))
        shutil.copy(self.ca, at / "ca.crt")
        (at / "namespace").write_text(namespace)
        return at

    # -- asking

    def expect(self, method, path, body=None, **more):
        """The answer to a request that must succeed; a server that says it is still loading its cache is asked again."""
        def answered():
            found = self.request(method, path, body, **more)
            return None if found[0] == 429 else found
        status, answer = wait_for(answered, f"an answer to {method} {path} other than 429", 120, 0.2)
        if status >= 300:
            raise AssertionError(f"{method} {path} answered {status}: {answer}")
        return answer

    def list_all(self, path, page=500):
        """All objects of a list, read in pages: more at once take the server longer than it gives a request."""
        found, token = [], ""
        while True:
            part = self.expect("GET", f"{path}?limit={page}" + (f"&continue={urllib.parse.quote(token)}" if token else ""))
            found += part["items"]
            token = part["metadata"].get("continue", "")
            if not token:
                return found

    def patch(self, path, change, **more):
        """A merge patch."""
        return self.expect("PATCH", path, change, content_type="application/merge-patch+json", **more)

    def expect_all(self, method, requests, workers=4, content_type="application/json"):
        """Answers to many requests, (path, body) each, in their order, over a few connections that stay open; all must succeed."""
        todo, answers = list(enumerate(requests)), {}

        def work(part):
            connection = self.connect()
            try:
                for at, (path, body) in part:
                    def answered(path=path, body=body):
                        connection.request(method, path, None if body is None else json.dumps(body),
                                           {"Authorization": "Bearer " + self.token(), "Accept": "application/json", "Content-Type": content_type})
                        answer = connection.getresponse()
                        text = answer.read().decode()
                        return None if answer.status == 429 else (answer.status, text)
                    status, text = wait_for(answered, f"an answer to {method} {path} other than 429", 120, 0.2)
                    if status >= 300:
                        raise AssertionError(f"{method} {path} answered {status}: {text}")
                    answers[at] = json.loads(text)
            finally:
                connection.close()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for done in [pool.submit(work, todo[n::workers]) for n in range(workers)]:
                done.result()
        return [answers[at] for at, _ in todo]

    def watch(self, path, user="admin", seconds=60, **parameters):
        """Opens a watch; iterates over its events, as objects, until the server ends it, and gives up after `seconds` without one."""
        target = path + "?" + urllib.parse.urlencode({"watch": "true", **parameters})

        def begun():
            connection = self.connect(seconds)
            connection.request("GET", target, headers={"Authorization": "Bearer " + self.token(user), "Accept": "application/json"})
            answer = connection.getresponse()
            if answer.status == 429:
                connection.close()
                return None
            return connection, answer
        connection, answer = wait_for(begun, f"an answer to watching {path} other than 429", 60, 0.2)
        if answer.status != 200:
            text = answer.read().decode()
            connection.close()
            raise AssertionError(f"watching {path} answered {answer.status}: {text}")

        def events():
            try:
                for line in answer:
                    yield json.loads(line)
            finally:
                connection.close()
        return events()

    def run_kubectl(self, *arguments, user="admin", input=None, home=None, seconds=300):
        """One finished kubectl; `home` defaults to a fresh one, so that nothing is remembered from call to call."""
        with tempfile.TemporaryDirectory(prefix="home-", dir=self.folder) as fresh:
            at = self.folder / f"kubeconfig.{user}"
            if not at.exists():
                self.kubeconfig(user).rename(at)
            environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(home or fresh), "KUBECONFIG": str(at), "LC_ALL": "C.UTF-8"}
            return subprocess.run([self.bin / "kubectl", *map(str, arguments)], env=environment, input=input, capture_output=True, text=True, timeout=seconds,
                                  cwd=self.folder, **({} if input is not None else {"stdin": subprocess.DEVNULL}))

    def kubectl(self, *arguments, status=0, **more):
        """Standard output of a kubectl that must end with `status`."""
        done = self.run_kubectl(*arguments, **more)
        if done.returncode != status:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def apply(self, what, *arguments, **more):
        """Applies a file, a folder, or objects given as text or dictionaries."""
        if isinstance(what, pathlib.Path):
            return self.kubectl("apply", "-f", what, *arguments, **more)
        return self.kubectl("apply", "-f", "-", *arguments, input=what if isinstance(what, str) else json.dumps(what), **more)

    def install_crd(self, file):
        """Applies one CustomResourceDefinition and waits until it serves as it is written."""
        self.apply(file)
        wanted = json.loads(self.kubectl("create", "--dry-run=client", "-o", "json", "-f", file))
        group, names, version = wanted["spec"]["group"], wanted["spec"]["names"], wanted["spec"]["versions"][0]
        schema = version["schema"]["openAPIV3Schema"]["properties"]
        path, name = f"/apis/{group}/{version['name']}", wanted["metadata"]["name"]

        def published():
            conditions = self.expect("GET", f"{CRD_API}/{name}").get("status", {}).get("conditions", [])
            if not any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
                return False
            status, document = self.request("GET", f"/openapi/v3{path}")
            if status != 200:
                return False
            known = next((s for s in document["components"]["schemas"].values()
                          if any(k["kind"] == names["kind"] for k in s.get("x-kubernetes-group-version-kind", []))), {}).get("properties", {})
            return shape(known.get("spec")) == shape(schema.get("spec")) and shape(known.get("status")) == shape(schema.get("status"))
        wait_for(published, f"{name} to be served", 120, 0.1)
        wait_for(lambda: self.request("GET", f"{path}/{names['plural']}")[0] == 200, f"lists of {names['plural']}", 120, 0.1)

    def remove_crd(self, name):
        """Deletes a definition with all its objects, finalizers or not."""
        status, definition = self.request("GET", f"{CRD_API}/{name}")
        if status == 404:
            return
        path = f"/apis/{definition['spec']['group']}/{definition['spec']['versions'][0]['name']}"
        self.request("DELETE", f"{CRD_API}/{name}")
        self.release(path, definition["spec"]["names"]["plural"])
        wait_for(lambda: self.request("GET", f"{CRD_API}/{name}")[0] == 404, f"the end of {name}", 120, 0.1)

    def release(self, api, resource, namespace=None):
        """Takes the finalizers off all objects of a kind."""
        status, found = self.request("GET", f"{api}/{'namespaces/' + namespace + '/' if namespace else ''}{resource}")
        for item in found["items"] if status == 200 else []:
            if item["metadata"].get("finalizers"):
                meta = item["metadata"]
                place = f"namespaces/{meta['namespace']}/" if "namespace" in meta else ""
                self.request("PATCH", f"{api}/{place}{resource}/{meta['name']}", {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")

    def finish_namespace(self, name, seconds=120):
        """Does for a namespace that is being deleted what the controller manager would: deletes what is in it, waits for finalizers, lets it go."""
        listing = self.kubectl("api-resources", "--namespaced", "--verbs=list,delete", "-o", "name").split()
        kinds = [kind for kind in listing if kind not in ("events", "events.events.k8s.io")] + ["events"]

        def emptied():
            self.kubectl("delete", ",".join(kinds), "--all", "-n", name, "--wait=false", "--ignore-not-found")
            return not self.kubectl("get", ",".join(kinds), "-n", name, "-o", "name", "--ignore-not-found").strip()
        wait_for(emptied, f"an empty namespace {name}", seconds, 0.2)
        namespace = self.expect("GET", f"/api/v1/namespaces/{name}")
        namespace["spec"]["finalizers"] = []
        self.expect("PUT", f"/api/v1/namespaces/{name}/finalize", namespace)
        wait_for(lambda: self.request("GET", f"/api/v1/namespaces/{name}")[0] == 404, f"the end of namespace {name}", seconds, 0.1)


def shape(schema):
    """Names and texts of a schema's fields, by which two versions of a definition are told apart."""
    if not schema:
        return {}
    inner = shape(schema.get("items")) if schema.get("type") == "array" else {name: shape(field) for name, field in schema.get("properties", {}).items()}
    return {"description": schema.get("description"), "fields": inner}


class KubeCase(Case):
    """A cluster for the class with our definitions in it, a namespace for each test. Without the binaries each test is skipped, by its name."""

    crds = (CRDS / "repositories.yaml", CRDS / "packagerevs.yaml")
    users = {}
    options = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.absent = None
        try:
            binaries()
        except unittest.SkipTest as why:
            cls.absent = str(why)
            return
        folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-kube-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.cluster = Cluster(folder, users=cls.users, **cls.options)
        cls.addClassCleanup(cls.cluster.close)
        for file in cls.crds:
            cls.cluster.install_crd(file)

    def setUp(self):
        if self.absent:
            self.skipTest(self.absent)
        super().setUp()
        self.namespace = self.cluster.expect("POST", "/api/v1/namespaces", {"metadata": {"generateName": "test-"}})["metadata"]["name"]
        self.repositories = f"{CONFIG_API}/namespaces/{self.namespace}/repositories"
