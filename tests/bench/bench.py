#!/usr/bin/env python3
"""The bench: rows of medians, spreads and ratios, Veranda and git interleaved; each row checks what it measured. Started by tools/bench."""
import argparse
import http.client
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from generate import SIZES, kept  # noqa: E402
from harness.case import manifest  # noqa: E402
from harness.daemon import BIN, CLEAN, Daemon  # noqa: E402
from harness.git import ENVIRONMENT, Repository, annotation, package  # noqa: E402
from harness.git_server import GitServer  # noqa: E402
from harness.usage import look  # noqa: E402
from harness.wait import wait_for  # noqa: E402
from mirror import mirror  # noqa: E402
from scale import scale  # noqa: E402


BENCH_PARTS = os.environ.get("VERANDA_BENCH_PARTS", str(pathlib.Path(__file__).resolve().parents[2] / "build/release/tests/bench/bench_parts"))


class Wrong(Exception):
    """A result that is not what the generator made."""


def expect(what, found, wanted):
    if found != wanted:
        raise Wrong(f"{what}: {found}, and {wanted} expected")


def timed(command, check=True, **more):
    """Seconds on the wall, seconds of CPU and peak resident bytes of one command and its children."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(a) for a in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if check and process.returncode != 0:
        raise Wrong(f"{' '.join(map(str, command))} ended with {process.returncode}: {errors.decode()[-2000:]}")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def spread(values):
    unit, scale = ("s", 1) if statistics.median(values) >= 1 else ("ms", 1000)
    low, middle, high = (v * scale for v in (min(values), statistics.median(values), max(values)))
    return f"{middle:.3g} {unit} [{low:.3g}..{high:.3g}]"


class Report:
    def __init__(self):
        self.rows = 0
        print(f"{'row':<28} {'git':>26} {'veranda':>26} {'ratio':>8}  target  notes")

    def row(self, name, git, veranda, target, notes=""):
        ratio = statistics.median(veranda) / statistics.median(git)
        print(f"{name:<28} {spread(git):>26} {spread(veranda):>26} {ratio:>7.2f}x  {target:<7} {notes}", flush=True)
        self.rows += 1

    def note(self, name, text):
        print(f"{name:<28} {text}", flush=True)
        self.rows += 1


class Bench:
    def __init__(self, arguments, folder):
        self.arguments, self.folder, self.report = arguments, folder, Report()
        self.root = folder / "git"
        self.root.mkdir()
        self.server = GitServer(folder / "server", self.root)
        self.counter = 0

    def fresh(self, name):
        self.counter += 1
        path = self.folder / f"{name}-{self.counter}"
        path.mkdir()
        return path

    def served(self, size, row):
        """A copy of the generated repository for one row, which may push to it, and the URL at which it is served."""
        path = self.root / f"{size.name}-{row}.git"
        shutil.copytree(kept(size, os.environ.get("VERANDA_BENCH_DIR", "/tmp/veranda-bench")), path)
        return path, f"{self.server.url}/{path.name}"

    def manifests(self, url):
        folder = self.fresh("manifests")
        (folder / "r.yaml").write_text(manifest("r", url))
        return folder

    def cold(self, size):
        """From nothing to everything stored, against a bare clone; the same over and over, each in a new folder."""
        _, url = self.served(size, "cold")
        git, veranda, memory, data = [], [], [], None
        manifests = self.manifests(url)
        for _ in range(self.arguments.runs or (3 if size.packages >= 1000 else 5)):
            mirror = self.fresh("mirror")
            git.append(timed(["git", "clone", "-q", "--mirror", url, mirror / "m.git"], env=ENVIRONMENT)[0])
            shutil.rmtree(mirror)
            if data:
                shutil.rmtree(data)
            data = self.fresh("data")
            wall, _, peak = timed([BIN / "verandad", "--once", "--manifests", manifests, "--data-dir", data], env=CLEAN)
            veranda.append(wall)
            memory.append(peak)
        daemon = Daemon(manifests, data)
        try:
            expect(f"revisions of {size.name}", len(daemon.revisions("r")), size.package_revisions)
        finally:
            daemon.stop()
        self.report.row(f"cold sync {size.name}", git, veranda, "<= 1.3x", f"{size.package_revisions} revisions, peak {max(memory) >> 20} MiB, on disk {disk(data) >> 20} MiB")
        shutil.rmtree(data)

    def running(self, size):
        """In the running daemon, one new commit with its tag: from the request for a sync to the event that shows the revision. Then nothing new: from the
        request to the event that says it was handled. The rival is `git fetch` into a mirror."""
        path, url = self.served(size, "running")
        remote = Repository.at(path, 1_900_000_000)
        mirror = self.fresh("mirror") / "m.git"
        timed(["git", "clone", "-q", "--mirror", url, mirror], env=ENVIRONMENT)
        daemon = Daemon(self.manifests(url), self.fresh("data"), "--health-check-frequency=0")
        try:
            daemon.wait_condition("r", "Ready", seconds=600)
            before, rows, command = set(daemon.revisions("r")), {"commit": ([], []), "nothing": ([], [])}, []
            with Steering(daemon) as steering:
                runs = self.arguments.runs or 11
                for number in range(1, runs + 1):
                    path = f"bench/run-{number:03d}"
                    remote.commit("main", package(path, number), "Add\n\n" + annotation(package=path, workspace="v1"))
                    remote.tag(f"{path}/v1")
                    for kind in ("commit", "nothing"):
                        both = [lambda: timed(["git", "-C", mirror, "fetch", "-q", "--prune", "origin"], env=ENVIRONMENT)[0],
                                lambda: steering.visible(f"r.bench.run-{number:03d}.v1") if kind == "commit" else steering.handled()]
                        for which in (0, 1) if number % 2 else (1, 0):
                            rows[kind][which].append(both[which]())
                    command.append(timed(daemon.command("sync", "r", "--wait"), env=CLEAN)[0])
            wanted = before | {f"r.bench.run-{n:03d}.{w}" for n in range(1, runs + 1) for w in ("v1", "main")}
            expect(f"revisions of {size.name} after {runs} commits", set(daemon.revisions("r")) ^ wanted, set())
            expect("commit in the mirror", subprocess.run(["git", "-C", mirror, "rev-parse", "main"], capture_output=True, text=True, env=ENVIRONMENT, check=False).stdout.strip(),
                   remote.resolve("refs/heads/main"))
            self.report.row(f"one new commit {size.name}", *rows["commit"], "<= 0.25x", "request to event of a watch")
            self.report.row(f"nothing new {size.name}", *rows["nothing"], "<= 0.08x",
                            f"`veranda sync --wait` as a process {spread(command)}; resident {look(daemon.process.pid).resident >> 20} MiB")
        finally:
            daemon.stop()

    def parts(self, size):
        """The stages of a sync without the daemon: fetch, discovery, store; a second process goes on after one more commit."""
        path, url = self.served(size, "parts")
        remote = Repository.at(path, 1_950_000_000)
        stages, clone, log = {}, [], []
        for number in range(1, (self.arguments.runs or 3) + 1):
            before = sum(1 for _ in remote.git("for-each-ref", "refs/tags").splitlines())
            mirror, scratch = self.fresh("mirror"), self.fresh("parts")
            clone.append(timed(["git", "clone", "-q", "--mirror", url, mirror / "m.git"], env=ENVIRONMENT)[0])
            log.append(timed(["git", "-C", mirror / "m.git", "log", "--all", "--format=%B"], env=ENVIRONMENT)[0])
            for arguments in (["store"], []):
                done = subprocess.run([BENCH_PARTS, url, str(scratch), *arguments], check=False, capture_output=True, text=True)
                if done.returncode != 0:
                    raise Wrong(f"bench_parts: {done.stderr}")
                for line in done.stdout.splitlines():
                    name, seconds, count = line.split()
                    stages.setdefault(name, []).append((float(seconds), int(count)))
                if arguments:
                    path = f"parts/run-{number:03d}"
                    remote.commit("main", package(path, number), "Add\n\n" + annotation(package=path, workspace="v1"))
                    remote.tag(f"{path}/v1")
            expect("revisions added by one commit with a tag", stages["discovery-after-commit"][-1][1] - stages["discovery"][-1][1], 2)
            expect("tags added", sum(1 for _ in remote.git("for-each-ref", "refs/tags").splitlines()) - before, 1)
            expect("objects read when nothing is new", stages["discovery-nothing-new"][-1][1] == 0, True)
            shutil.rmtree(mirror)
            shutil.rmtree(scratch)
        seconds = {name: [s for s, _ in values] for name, values in stages.items()}
        first = [s for s in seconds["fetch"][::2]]
        files = stages["store"][0][1]
        self.report.row(f"fetch {size.name} / clone", clone, first, "<= 0.8x", "without the listing")
        self.report.row(f"discovery {size.name}, no Kptfiles", log, seconds["discovery-without-kptfiles"], "<= 2x", "against git log --all --format=%B")
        self.report.row(f"discovery {size.name}", log, seconds["discovery"], "<= 4x", f"{stages['discovery'][0][1]} revisions")
        self.report.row(f"after a commit {size.name}", seconds["discovery"], seconds["discovery-after-commit"], "1/40", "against discovery from scratch")
        self.report.row(f"store {size.name}", seconds["store-row-by-row"], seconds["store"], "1/6",
                        f"{files} files, {files / statistics.median(seconds['store']):,.0f} rows/s; rival: autocommitted row by row")

    def idle(self):
        """Many unchanged remotes: CPU of a round of listings against `git ls-remote` of each, memory, restart."""
        count = self.arguments.repositories
        source = kept(SIZES["S"], os.environ.get("VERANDA_BENCH_DIR", "/tmp/veranda-bench"))
        for number in range(count):
            copy = self.root / f"idle/{number}.git"
            if not copy.exists():
                shutil.copytree(source, copy, copy_function=os.link)
        manifests, data = self.fresh("manifests"), self.fresh("data")
        (manifests / "all.yaml").write_text("---\n".join(manifest(f"r{n}", f"{self.server.url}/idle/{n}.git") for n in range(count)))
        flags = ("--health-check-frequency=20s", "--repo-sync-frequency=24h")
        listed = 'veranda_remote_listings_total{result="success",error_class="none"}'
        daemon = Daemon(manifests, data, *flags)
        try:
            wait_for(lambda: daemon.metrics()['veranda_repositories_by_condition{ready="true"}'] == count, f"{count} ready repositories", 900, pause=1)
            revisions = daemon.metrics()["veranda_cache_package_revisions"]
            expect("revisions of all", revisions, count * SIZES["S"].package_revisions)
            settle = daemon.metrics()[listed]
            wait_for(lambda: daemon.metrics()[listed] >= settle + count, "a first round", 120, pause=1)
            spent, served = self.round(daemon, listed, count)
            memory = look(daemon.process.pid).resident
        finally:
            daemon.stop()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for number in range(count):
            timed(["git", "ls-remote", "-q", f"{self.server.url}/idle/{number}.git"], env=ENVIRONMENT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        git = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.report.row(f"idle: CPU per poll ({count})", [git / count], [spent / served], "1/90",
                        f"daemon {memory >> 20} MiB resident, {(memory - (32 << 20)) / count / 1024:.0f} KiB each beyond 32 MiB (target 16)")
        begin, lines = time.perf_counter(), len(self.server.requests())
        daemon = Daemon(manifests, data, *flags)
        try:
            ready = time.perf_counter() - begin
            wait_for(lambda: len(self.server.requests()) >= lines + count and daemon.metrics()[listed] >= count, "a listing of each", 120, pause=0.2)
            restart, wall, metrics = look(daemon.process.pid).cpu, time.perf_counter() - begin, daemon.metrics()
            expect("fetches after a restart", sum(value for name, value in metrics.items() if name.startswith("veranda_remote_fetches_total")), 0)
            wait_for(lambda: daemon.metrics()["veranda_cache_package_revisions"] == revisions, "all revisions after a restart", 60, pause=0.2)
            expect("ready after a restart", metrics['veranda_repositories_by_condition{ready="true"}'], count)
            self.report.row(f"restart: CPU ({count})", [spent / served * count], [restart], "<= 2x", f"against polling all once; ready after {ready:.2f} s, all listed after {wall:.1f} s")
        finally:
            daemon.stop()

    def round(self, daemon, listed, count):
        """CPU and number of the listings of about one round. The server's log is waited for: asking the daemon would cost what is measured."""
        polls, requests, begin = daemon.metrics()[listed], len(self.server.requests()), look(daemon.process.pid).cpu
        wait_for(lambda: len(self.server.requests()) >= requests + count, "a round of listings", 120, pause=0.5)
        return look(daemon.process.pid).cpu - begin, daemon.metrics()[listed] - polls


class Steering:
    """Asks for syncs of the Repository `r` and sees what comes of them, over connections that stay open: no process, no polling."""

    REPOSITORIES = "/apis/config.porch.kpt.dev/v1alpha1/namespaces/default/repositories"
    REVISIONS = "/apis/porch.kpt.dev/v1alpha1/namespaces/default/packagerevisions"

    def __init__(self, daemon):
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        self.headers = {"Authorization": "Bearer " + daemon.token(), "Content-Type": "application/merge-patch+json"}
        self.streams = [daemon.events(f"{path}?watch=true&resourceVersion={json.loads(daemon.http(path + '?limit=1')[1])['metadata']['resourceVersion']}")
                        for path in (self.REVISIONS, self.REPOSITORIES)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in (self.connection, *self.streams):
            each.close()

    def request(self):
        now = time.time_ns()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z"
        self.connection.request("PATCH", self.REPOSITORIES + "/r", json.dumps({"metadata": {"annotations": {"veranda.dev/sync-requested-at": stamp}}}), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Wrong(f"the request for a sync was answered with {answer.status}: {text.decode()[:1000]}")
        return stamp

    def finished(self, stamp):
        for event in self.streams[1]:
            status = event["object"].get("status", {})
            if status.get("lastHandledSyncRequest", "") >= stamp and status["conditions"][0]["reason"] != "Reconciling":
                expect("the condition after a sync", status["conditions"][0]["reason"], "Ready")
                return
        raise Wrong("the watch of repositories ended")

    def visible(self, name):
        """Seconds until the revision is there; answers when the sync is wholly done."""
        begin = time.perf_counter()
        stamp = self.request()
        for event in self.streams[0]:
            if event["object"]["metadata"].get("name") == name:
                expect("the event of a new revision", event["type"], "ADDED")
                seconds = time.perf_counter() - begin
                self.finished(stamp)
                return seconds
        raise Wrong("the watch of package revisions ended")

    def handled(self):
        """Seconds until a sync that finds nothing new is done."""
        begin = time.perf_counter()
        self.finished(self.request())
        return time.perf_counter() - begin


def disk(path):
    return sum(p.stat().st_blocks * 512 for p in pathlib.Path(path).rglob("*") if p.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="S and M, the rows of a sync only")
    parser.add_argument("--sizes", default="S,M,L", help="of S, M, L and P")
    parser.add_argument("--rows", default="cold,running,parts,idle", help="and `kubernetes` and `packagerevs`, which need an API server to be built")
    parser.add_argument("--objects", default="500,1000,2000,5000", help="of the row `kubernetes`")
    parser.add_argument("--packagerevs", default="1000,10000", help="objects of the row `packagerevs`")
    parser.add_argument("--repositories", type=int, default=1000, help="of the row `idle`")
    parser.add_argument("--runs", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.short:
        arguments.sizes, arguments.rows, arguments.runs = "S,M", "cold,running,parts", arguments.runs or 3
    folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-bench-"))
    bench = None
    try:
        bench = Bench(arguments, folder)
        for row in arguments.rows.split(","):
            if row == "idle":
                bench.idle()
            elif row == "kubernetes":
                scale(bench, [int(n) for n in arguments.objects.split(",")], expect)
            elif row == "packagerevs":
                mirror(bench, [int(n) for n in arguments.packagerevs.split(",")], expect)
            else:
                for name in arguments.sizes.split(","):
                    getattr(bench, row)(SIZES[name])
        print(f"{bench.report.rows} rows, all results as generated")
        return 0
    except (Wrong, AssertionError) as wrong:
        print(f"WRONG: {wrong}")
        return 1
    finally:
        if bench:
            bench.server.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
