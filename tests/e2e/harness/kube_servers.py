"""etcd and kube-apiserver in a folder, on 127.0.0.1, and their lives: kill, restart, backup, restore."""
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

from . import ROOT
from .git_server import make_certificates
from .wait import accepts, free_port, wait_for


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

    def end(self, with_signal=signal.SIGKILL, seconds=60):
        if self.running():
            self.process.send_signal(with_signal)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Servers:
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
        wait_for(healthy, "etcd", 120)

    def etcd_call(self, path, body):
        """One call of etcd's JSON gateway; None when it does not answer well."""
        connection = http.client.HTTPConnection("127.0.0.1", self.etcd_port, timeout=60)
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

    def wait_ready(self, seconds=240):
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

    # -- how to reach it

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self):
        return self.folder / "ca.crt"

    def token(self, user="admin"):
        return self.tokens[user]

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
