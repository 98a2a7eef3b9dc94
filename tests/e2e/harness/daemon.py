"""The daemon and the command line, as a user has them."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import sqlite3
import subprocess

from . import ROOT
from .wait import LONG, free_port, wait_for

BIN = pathlib.Path(os.environ.get("VERANDA_BIN_DIR", ROOT / "build/release"))
# What daemons are started with. The tests' servers are on loopback, where remotes are refused with --kubernetes; a flag replaces the variable.
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith("VERANDA") and not key.lower().endswith("_proxy")} | {"TZ": "UTC", "VERANDAD_ALLOW_CIDR": "127.0.0.0/8"}


def verandad(*arguments, seconds=120, **environment):
    """Runs the daemon to its end (`--once`, bad settings)."""
    return subprocess.run([BIN / "verandad", *map(str, arguments)], env=CLEAN | environment, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)


def veranda(*arguments, seconds=120):
    """Runs the command line without a daemon (`scan`, `cron`)."""
    return subprocess.run([BIN / "veranda", *map(str, arguments)], env=CLEAN, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)


def query(data, sql):
    """Rows of the database below a data directory, whether or not a daemon runs there; it is only read."""
    with contextlib.closing(sqlite3.connect(f"file:{data}/packages.db?mode=ro", uri=True, timeout=LONG)) as database:
        return database.execute(sql).fetchall()


class Events:
    """The events of one watch, in order; `next` waits for at most a minute."""

    def __init__(self, daemon, path):
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=LONG)
        self.connection.request("GET", path, headers={"Authorization": "Bearer " + daemon.token()})
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise AssertionError(f"{path} answered {self.answer.status}: {self.answer.read().decode()}")

    def __iter__(self):
        return self

    def __next__(self):
        line = self.answer.readline()
        if not line:
            raise StopIteration
        return json.loads(line)

    def close(self):
        self.connection.close()


class Daemon:
    """A running daemon; ready when the constructor returns."""

    def __init__(self, manifests, data, *flags, wait=True, environment=None):
        self.begin(data, ["--manifests", manifests, *flags], wait, environment)

    def begin(self, data, arguments, wait, environment=None):
        self.data = pathlib.Path(data)
        self.port = free_port()
        self.log_path = self.data.parent / f"verandad-{self.port}.log"
        with self.log_path.open("wb") as log:
            command = [BIN / "verandad", "--data-dir", str(data), "--listen", f"127.0.0.1:{self.port}", *map(str, arguments)]
            self.process = subprocess.Popen(command, env=CLEAN | (environment or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}")
            try:
                return self.http("/readyz")[0] == 200
            except OSError:
                return False
        try:
            wait_for(ready, "a ready daemon", 2 * LONG)
        except AssertionError as failed:
            raise AssertionError(f"{failed}\n--- daemon:\n{self.log()[-4000:]}") from None

    def wait_listening(self):
        """Until it answers, whatever it answers: its log may begin before."""
        def answers():
            try:
                return self.http("/livez")
            except OSError:
                return None
        wait_for(answers, "a listening daemon", 2 * LONG)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def token(self):
        return (self.data / "token").read_text().strip()

    def http(self, path, method="GET", body=None, headers=None):
        """Status and body of one request, with the token."""
        sent = {"Authorization": "Bearer " + self.token()} if (self.data / "token").exists() else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            connection.request(method, path, body, sent | (headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def command(self, *arguments):
        return [str(BIN / "veranda"), "--server", f"http://127.0.0.1:{self.port}", "--data-dir", str(self.data), *map(str, arguments)]

    def cli(self, *arguments, status=0, seconds=120):
        """Standard output of one command, which must end with `status` (None: any)."""
        done = subprocess.run(self.command(*arguments), env=CLEAN, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
        if status is not None and done.returncode != status:
            raise AssertionError(f"veranda {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n--- daemon:\n{self.log()[-3000:]}")
        return done.stdout

    def events(self, path):
        """Opens a watch of the API; iterates over its events, as objects. To be closed."""
        return Events(self, path)

    def watch(self, *arguments):
        """A command that goes on; the caller reads its standard output and ends it."""
        return subprocess.Popen(self.command(*arguments), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def items(self, resource, namespace=None):
        return json.loads(self.cli("get", resource, *(["-n", namespace] if namespace else ["-A"]), "-o", "json"))["items"]

    def repository(self, name, namespace="default"):
        return next((r for r in self.items("repositories", namespace) if r["metadata"]["name"] == name), None)

    def condition(self, name, namespace="default"):
        """The Ready condition; empty before there is one."""
        found = self.repository(name, namespace)
        conditions = (found or {}).get("status", {}).get("conditions", [])
        return conditions[0] if conditions else {}

    def wait_condition(self, name, reason, namespace="default", seconds=LONG):
        """Waits until Ready has `reason` for the current generation."""
        def settled():
            found = self.repository(name, namespace)
            conditions = (found or {}).get("status", {}).get("conditions", [])
            good = conditions and conditions[0]["reason"] == reason and conditions[0].get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
            return conditions[0] if good else None
        try:
            return wait_for(settled, f"{reason} on {namespace}/{name}", seconds)
        except AssertionError as failed:
            raise AssertionError(f"{failed}; now: {self.condition(name, namespace)}\n--- daemon:\n{self.log()[-3000:]}") from None

    def revisions(self, repository=None, namespace="default"):
        """Object name to object of the package revisions of one repository."""
        return {r["metadata"]["name"]: r for r in self.items("packagerevisions", namespace) if repository in (None, r["spec"]["repository"])}

    def metrics(self):
        """Sample name with labels to value."""
        status, text = self.http("/metrics")
        assert status == 200, text
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and not line.startswith("#")}

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=LONG):
        """Orderly shutdown; answers the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no shutdown within {seconds} s:\n{self.log()[-4000:]}") from None


class KubeDaemon(Daemon):
    """A daemon whose objects are at an API server."""

    def __init__(self, kubeconfig, data, *flags, wait=True, environment=None):
        self.begin(data, ["--kubeconfig", kubeconfig, *flags], wait, environment)
