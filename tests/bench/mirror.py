"""Many PackageRev objects (--cache=cr) on a real API server: how long they take to appear, what each costs the server and the daemon, and what remains when nothing changes."""
import collections
import time

from harness.daemon import query
from harness.git import Repository, package
from harness.kube import CONFIG_API
from harness.usage import look
from harness.wait import wait_for
from on_cluster import OnCluster

OF_ONE = 250  # revisions of one repository
WINDOW = 60   # seconds over which steady figures are taken
NAMESPACE = "mirrored"
REVS = f"{CONFIG_API}/namespaces/{NAMESPACE}/packagerevs"
SYNCED = "veranda_repositories_by_condition{ready=\"true\"}"


def call_of(request):
    """`POST`, `PATCH`, `DELETE`, `GET`, `LIST` or `WATCH` of PackageRev objects; what is about anything else in one."""
    if "/packagerevs" not in request.path:
        return "others"
    if request.method != "GET":
        return request.method
    return "WATCH" if request.watch else "LIST" if request.path.endswith("/packagerevs") else "GET"


class Mirror(OnCluster):
    """One number of objects: a cluster of its own, a daemon that makes them, goes on steadily, and starts again."""

    def __init__(self, bench, count):
        super().__init__(bench.fresh("mirror"), "repositories.yaml", "packagerevs.yaml")
        self.count = 0
        self.cluster.expect("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self.repositories = -(-count // OF_ONE)
        for number in range(self.repositories):
            self.count += self.publish(bench.root / f"mirror-{count}-{number}.git", min(OF_ONE, count - number * OF_ONE))
            url = f"{bench.server.url}/mirror-{count}-{number}.git"
            self.cluster.expect("POST", f"{CONFIG_API}/namespaces/{NAMESPACE}/repositories",
                                {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "metadata": {"name": f"r{number}", "namespace": NAMESPACE},
                                 "spec": {"type": "git", "git": {"repo": url, "branch": "main"}}})

    @staticmethod
    def publish(path, revisions):
        """A package with one revision of the branch, and tags for the others; answers how many there are."""
        git = Repository(path)
        git.commit("main", package("app"))
        for number in range(1, revisions):
            git.tag(f"app/v{number}")
        return max(1, revisions)

    def start(self):
        return self.launch("--cache=cr", "--repo-sync-frequency=1h")

    def objects(self):
        """All objects, by name."""
        return {item["metadata"]["name"]: item for item in self.cluster.list_all(REVS)}

    def rows(self):
        return {name for name, in query(self.folder / "data", "SELECT name FROM revisions WHERE repository IS NOT NULL")}

    def asked(self):
        return collections.Counter(map(call_of, self.proxy.requests()))

    def in_step(self, daemon, seconds):
        """Until the daemon has nothing left to write and all are there."""
        def done():
            metrics = daemon.metrics()
            return metrics[SYNCED] == self.repositories and metrics['veranda_package_revs{state="pending"}'] == 0 and metrics['veranda_package_revs{state="present"}'] == self.count
        wait_for(done, f"{self.count} PackageRev objects", seconds, 0.25)


def mirror(bench, sizes, expect):
    print(f"{'objects':>7} {'synced':>8} {'present':>8} {'of it CPU':>9} {'resident':>9} {'steady':>9} {'CPU':>6} {'again':>7} {'CPU':>7}  requests for each object: first start; second start")
    for count in sizes:
        one, daemon = Mirror(bench, count), None
        try:
            daemon = one.start()
            wait_for(lambda: daemon.metrics()[SYNCED] == one.repositories, f"{one.repositories} ready repositories", 900, 0.1)
            synced = one.since()
            one.in_step(daemon, 900 + one.count / 5)
            present, spent, memory, cold = one.since(), look(daemon.process.pid).cpu, look(daemon.process.pid).resident, one.asked()
            found = one.objects()
            expect("objects", set(found), one.rows())
            expect("requests to make each", (cold["POST"], cold["PATCH"], cold["DELETE"], cold["GET"]), (one.count, 0, 0, 0))
            before, begin, used = one.asked(), time.perf_counter(), look(daemon.process.pid).cpu
            time.sleep(WINDOW)
            steady, seconds, share = one.asked() - before, time.perf_counter() - begin, look(daemon.process.pid).cpu - used
            expect("requests about objects while nothing changes", sum(n for kind, n in steady.items() if kind not in ("others", "WATCH")), 0)
            expect("exit status", daemon.stop(), 0)
            daemon = one.start()
            one.in_step(daemon, 900)
            again, restart, warm = one.since(), look(daemon.process.pid).cpu, one.asked()
            expect("writes of a second start", sum(warm[kind] for kind in ("POST", "PATCH", "DELETE", "GET")), 0)
            expect("versions after a second start", {n: o["metadata"]["resourceVersion"] for n, o in one.objects().items()}, {n: o["metadata"]["resourceVersion"] for n, o in found.items()})
            per = lambda counts: ", ".join(f"{kind} {n / one.count:.3g}" for kind, n in sorted(counts.items()) if kind != "others")
            print(f"{one.count:>7} {synced:>6.1f} s {present:>6.1f} s {spent:>7.1f} s {memory >> 20:>5} MiB {sum(n for k, n in steady.items() if k != 'others') / seconds:>7.2f}/s {share / seconds:>6.1%}"
                  f" {again:>5.1f} s {restart:>5.1f} s  {per(cold)}; {per(warm)}", flush=True)
            bench.report.rows += 1
        finally:
            if daemon:
                daemon.stop()
            one.close()
