"""A Kubernetes API server for the tests: etcd and kube-apiserver in a folder, on 127.0.0.1, without internet; kubectl as users have it.

No controller manager runs: nothing makes default service accounts, collects garbage or finishes namespaces (`finish_namespace` does).
"""
import csv
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import unittest
import urllib.parse

from .case import Case
from .git_server import make_certificates
from .wait import accepts, free_port, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[3]
CRDS = ROOT / "config/kubernetes/crd"
OTHER_CRDS = ROOT / "tests/data/crds"
CONFIG_API = "/apis/config.porch.kpt.dev/v1alpha1"
CRD_API = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def binaries():
    """The folder of etcd, kube-apiserver and kubectl; skips the caller, by name, where they are not built."""
    found = subprocess.run([ROOT / "tests/kube/build.sh", "--find"], capture_output=True, text=True, timeout=60)
    if found.returncode == 3:
        raise unittest.SkipTest(found.stderr.strip().removeprefix("skipped: "))
    if found.returncode != 0:
        raise AssertionError(f"tests/kube/build.sh ended with {found.returncode}: {found.stderr}")
    return pathlib.Path(found.stdout.strip())


class Process:
    """A server with its log; dies with the thread that started it, whatever happens to that."""

    def __init__(self, log, *command):
        self.log_path = pathlib.Path(log)
        with self.log_path.open("ab") as out:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                            cwd=self.log_path.parent, env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.log_path.parent)})

    def running(self):
        return self.process.poll() is None

    def require(self, what):
        if not self.running():
            raise AssertionError(f"{what} ended with {self.process.returncode}:\n{self.log_path.read_text(errors='replace')[-4000:]}")

    def end(self, with_signal=signal.SIGKILL, seconds=30):
        if self.running():
            self.process.send_signal(with_signal)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Cluster:
    """One etcd and one API server; ready when the constructor returns. RBAC is on; `admin` may do everything.

    `users`: further names, each with its groups; what they may do, roles say. `watch_cache=False`: lists and watches go to etcd, so that `compact` outdates
    positions at once (with the cache, which keeps at least the last 100 changes of a kind and sizes itself, `restart` does). `flags`: of the API server."""

    def __init__(self, folder, users=None, watch_cache=True, flags=()):
        self.bin = binaries()
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.etcd_port, self.etcd, self.server = free_port(), free_port(), None, None
        self.flags = [f"--watch-cache={'true' if watch_cache else 'false'}", *flags]
        self.users = {"admin": ["system:masters"], **(users or {})}
        self.tokens = {name: os.urandom(16).hex() for name in self.users}
        self.prepare()
        try:
            self.start_etcd()
            self.start()
        except BaseException:
            self.close()
            raise

    def prepare(self):
        make_certificates(self.folder)
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "accounts.key"], cwd=self.folder, check=True, capture_output=True)
        subprocess.run(["openssl", "ec", "-in", "accounts.key", "-pubout", "-out", "accounts.pub"], cwd=self.folder, check=True, capture_output=True)
        with (self.folder / "tokens.csv").open("w", newline="") as out:
            csv.writer(out).writerows([self.tokens[name], name, f"uid-{name}", ",".join(groups)] for name, groups in self.users.items())
        self.context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))

    # -- the two servers

    def start_etcd(self):
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{free_port()}"
        self.etcd = Process(self.folder / "etcd.log", self.bin / "etcd", "--name=test", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
                            f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}")

        def healthy():
            self.etcd.require("etcd")
            return accepts(self.etcd_port) and self.etcd_call("/v3/maintenance/status", {}) is not None
        wait_for(healthy, "etcd", 60)

    def etcd_call(self, path, body):
        """One call of etcd's JSON gateway; None when it does not answer well."""
        connection = http.client.HTTPConnection("127.0.0.1", self.etcd_port, timeout=10)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return json.loads(text) if answer.status == 200 else None
        except OSError:
            return None
        finally:
            connection.close()

    def start(self, wait=True):
        """Starts the API server; the port stays the same for the life of the cluster."""
        at = self.folder
        self.server = Process(at / "kube-apiserver.log", self.bin / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd_port}", "--bind-address=127.0.0.1",
                              "--advertise-address=127.0.0.1", f"--secure-port={self.port}", f"--cert-dir={at}", f"--tls-cert-file={at / 'server.crt'}",
                              f"--tls-private-key-file={at / 'server.key'}", f"--client-ca-file={at / 'ca.crt'}", f"--token-auth-file={at / 'tokens.csv'}",
                              "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={at / 'accounts.pub'}",
                              f"--service-account-signing-key-file={at / 'accounts.key'}", "--service-account-extend-token-expiration=false",
                              "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none", "--profiling=false", *self.flags)
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=120):
        def ready():
            self.server.require("kube-apiserver")
            try:
                return self.request("GET", "/readyz")[0] == 200
            except OSError:
                return False
        wait_for(ready, "a ready kube-apiserver", seconds, 0.1)

    def kill(self):
        """Ends the API server at once; etcd stays."""
        self.server.end()

    def restart(self, wait=True):
        """Kills the API server and starts it anew: watch caches begin at now, older positions are outdated."""
        self.kill()
        self.start(wait)

    def close(self):
        for process in (self.server, self.etcd):
            if process is not None:
                process.end()

    # -- the past

    def backup(self):
        """A copy of what etcd holds now, for `restore`. etcd pauses for a moment, and the API server with it."""
        copy = pathlib.Path(tempfile.mkdtemp(prefix="backup-", dir=self.folder)) / "etcd"
        self.etcd.end(signal.SIGTERM)
        shutil.copytree(self.folder / "etcd", copy)
        self.start_etcd()
        self.wait_ready()
        return copy

    def restore(self, copy):
        """The cluster as it was at `backup`: objects, and resourceVersions that go on from then."""
        self.kill()
        self.etcd.end()
        shutil.rmtree(self.folder / "etcd")
        shutil.copytree(copy, self.folder / "etcd")
        self.start_etcd()
        self.start()

    def compact(self):
        """Makes etcd forget all but the present; positions before it are outdated for those who read from etcd."""
        status = self.etcd_call("/v3/kv/range", {"key": "AA==", "limit": 1})
        revision = status["header"]["revision"]
        if self.etcd_call("/v3/kv/compaction", {"revision": revision, "physical": True}) is None:
            raise AssertionError("etcd refused to compact")
        return int(revision)

    # -- who asks

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self):
        return self.folder / "ca.crt"

    def token(self, user="admin"):
        return self.tokens[user]

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

    def connect(self, seconds=60):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=seconds, context=self.context)

    def request(self, method, path, body=None, user="admin", token=None, content_type="application/json"):
        """Status and answer (decoded when it is JSON) of one request."""
        connection = self.connect()
        try:
            headers = {"Authorization": "Bearer " + (token or self.token(user)), "Accept": "application/json", "Content-Type": content_type}
            connection.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        finally:
            connection.close()

    def expect(self, method, path, body=None, **more):
        """The answer to a request that must succeed; a server that says it is still loading its cache is asked again."""
        def answered():
            found = self.request(method, path, body, **more)
            return None if found[0] == 429 else found
        status, answer = wait_for(answered, f"an answer to {method} {path} other than 429", 60, 0.2)
        if status >= 300:
            raise AssertionError(f"{method} {path} answered {status}: {answer}")
        return answer

    def patch(self, path, change, **more):
        """A merge patch."""
        return self.expect("PATCH", path, change, content_type="application/merge-patch+json", **more)

    def watch(self, path, user="admin", seconds=30, **parameters):
        """Events of a watch, as objects, until the server ends it; gives up after `seconds` without one."""
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
        try:
            if answer.status != 200:
                raise AssertionError(f"watching {path} answered {answer.status}: {answer.read().decode()}")
            for line in answer:
                yield json.loads(line)
        finally:
            connection.close()

    def run_kubectl(self, *arguments, user="admin", input=None, home=None, seconds=120):
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
        wait_for(published, f"{name} to be served", 60, 0.1)
        wait_for(lambda: self.request("GET", f"{path}/{names['plural']}")[0] == 200, f"lists of {names['plural']}", 30, 0.1)

    def remove_crd(self, name):
        """Deletes a definition with all its objects, finalizers or not."""
        status, definition = self.request("GET", f"{CRD_API}/{name}")
        if status == 404:
            return
        path = f"/apis/{definition['spec']['group']}/{definition['spec']['versions'][0]['name']}"
        self.request("DELETE", f"{CRD_API}/{name}")
        self.release(path, definition["spec"]["names"]["plural"])
        wait_for(lambda: self.request("GET", f"{CRD_API}/{name}")[0] == 404, f"the end of {name}", 60, 0.1)

    def release(self, api, resource, namespace=None):
        """Takes the finalizers off all objects of a kind."""
        status, found = self.request("GET", f"{api}/{'namespaces/' + namespace + '/' if namespace else ''}{resource}")
        for item in found["items"] if status == 200 else []:
            if item["metadata"].get("finalizers"):
                meta = item["metadata"]
                place = f"namespaces/{meta['namespace']}/" if "namespace" in meta else ""
                self.request("PATCH", f"{api}/{place}{resource}/{meta['name']}", {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")

    def finish_namespace(self, name, seconds=60):
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
    """A cluster for the class with our definitions in it, a namespace for each test."""

    crds = (CRDS / "repositories.yaml", CRDS / "packagerevs.yaml")
    users = {}
    options = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        binaries()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-kube-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.cluster = Cluster(folder, users=cls.users, **cls.options)
        cls.addClassCleanup(cls.cluster.close)
        for file in cls.crds:
            cls.cluster.install_crd(file)

    def setUp(self):
        super().setUp()
        self.namespace = self.cluster.expect("POST", "/api/v1/namespaces", {"metadata": {"generateName": "test-"}})["metadata"]["name"]
        self.repositories = f"{CONFIG_API}/namespaces/{self.namespace}/repositories"
