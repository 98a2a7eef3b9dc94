"""Many Repository objects on a real API server: what they cost it and the daemon, and that all of it grows as their number does."""
import collections
import re
import shutil
import time

from harness.git import Repository
from harness.kube import CONFIG_API
from harness.usage import look
from harness.wait import wait_for
from on_cluster import OnCluster

REMOTES = 100
READY = 'veranda_repositories_by_condition{ready="true"}'


class Remotes:
    """A hundred small repositories, of two package revisions each; a namespace has one object for each of them, so that no two are in conflict."""

    def __init__(self, bench):
        template = bench.root / "scale/0.git"
        template.parent.mkdir()
        Repository(template).publish("one", 1)
        for number in range(1, REMOTES):
            shutil.copytree(template, template.parent / f"{number}.git")
        self.url = bench.server.url

    def manifest(self, number):
        return {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "metadata": {"name": f"r{number % REMOTES}", "namespace": f"n{number // REMOTES}"},
                "spec": {"type": "git", "git": {"repo": f"{self.url}/scale/{number % REMOTES}.git", "branch": "main"}}}


def kind_of(request):
    """`PATCH status`, `POST events`, `WATCH`, `LIST`, `GET`."""
    if request.method == "GET":
        return "WATCH" if request.watch else "LIST" if request.path.endswith("/repositories") else "GET"
    return f"{request.method} {'status' if request.path.endswith('/status') else 'events' if '/events' in request.path else 'other'}"


class Scale(OnCluster):
    """One size: a cluster of its own, a daemon that starts cold, goes on steadily, and starts again."""

    def __init__(self, bench, remotes, count):
        super().__init__(bench.fresh("scale"), "repositories.yaml")
        self.count = count
        self.frequency = max(120, count // 8)  # seconds between syncs of one object, and of the window over which steady figures are taken: one sync of each
        for number in range(-(-count // REMOTES)):
            self.cluster.expect("POST", "/api/v1/namespaces", {"metadata": {"name": f"n{number}"}})
        objects = [remotes.manifest(n) for n in range(count)]
        self.cluster.expect_all("POST", [(f"{CONFIG_API}/namespaces/{o['metadata']['namespace']}/repositories", o) for o in objects])

    def start(self):
        return self.launch(f"--repo-sync-frequency={self.frequency}s", "--metrics-max-repositories=0")

    def ready(self):
        """Objects that the API server shows as ready."""
        items = self.cluster.expect("GET", CONFIG_API + "/repositories?resourceVersion=0")["items"]
        return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in i.get("status", {}).get("conditions", [])) for i in items)

    def asked(self):
        return collections.Counter(kind_of(r) for r in self.proxy.requests())

    def quiet(self):
        """Until nothing was written for some seconds."""
        last = [None, 0]

        def same():
            now = len(self.proxy.requests())
            if now != last[0]:
                last[:] = now, time.monotonic()
            return time.monotonic() - last[1] > 4
        wait_for(same, "the end of writing", 900, 0.5)

    def cold(self):
        daemon = self.start()
        try:
            wait_for(lambda: daemon.metrics().get(READY) == self.count, f"{self.count} that are ready in the daemon", 900, 0.25)
            inside = self.since()
            wait_for(lambda: self.ready() == self.count, f"{self.count} that are ready at the API server", 900, 1)
            outside, cold = self.since(), self.asked()
            return daemon, inside, outside, cold
        except BaseException:
            daemon.kill()
            raise

    def steady(self, daemon):
        """Requests, syncs and processor seconds of a while in which nothing changes."""
        before, spent, begin, asked = syncs(daemon), look(daemon.process.pid).cpu, time.perf_counter(), self.asked()
        time.sleep(self.frequency)
        seconds = time.perf_counter() - begin
        return (self.asked() - asked), syncs(daemon) - before, (look(daemon.process.pid).cpu - spent) / seconds, seconds


def syncs(daemon):
    """Syncs that ended so far, without the health checks, which write nothing."""
    return sum(value for name, value in daemon.metrics().items() if name.startswith("veranda_sync_runs_total") and not re.search(r'cause="health"', name))


def per(counts, number):
    return ", ".join(f"{kind} {count / number:.3g}" for kind, count in sorted(counts.items()) if kind.startswith(("PATCH", "POST", "GET")))


def scale(bench, sizes, expect):
    remotes, base = Remotes(bench), None
    print(f"{'objects':>7} {'ready':>8} {'shown':>8} {'resident':>9} {'each':>8} {'steady':>9} {'syncs':>8} {'CPU':>6} {'again':>7}  requests for each: first start; sync; second start")
    for count in sizes:
        one = Scale(bench, remotes, count)
        daemon = None
        try:
            daemon, inside, outside, cold = one.cold()
            one.quiet()
            cold = one.asked()
            memory = look(daemon.process.pid).resident
            asked, done, share, seconds = one.steady(daemon)
            expect("watches open", one.proxy.watches, 1)
            expect("lists of the first start", cold["LIST"], 1)
            expect("reads while nothing changes", sum(n for kind, n in asked.items() if kind in ("LIST", "GET")), 0)
            expect("revisions", daemon.metrics()["veranda_cache_package_revisions"], 2 * count)
            daemon.stop()
            daemon = one.start()
            wait_for(lambda: syncs(daemon) >= count, "a sync of each", 900, 0.25)
            again = one.since()
            one.quiet()
            warm = one.asked()
            base = base or (count, memory)
            each = (memory - base[1]) / (count - base[0]) / 1024 if count > base[0] else 0
            print(f"{count:>7} {inside:>6.1f} s {outside:>6.1f} s {memory >> 20:>5} MiB {each:>4.0f} KiB {sum(asked.values()) / seconds:>7.2f}/s {done / seconds:>6.2f}/s {share:>6.1%} {again:>5.1f} s"
                  f"  {per(cold, count)}; {per(asked, max(done, 1))}; {per(warm, count)}", flush=True)
            bench.report.rows += 1
        finally:
            if daemon:
                daemon.stop()
            one.close()
