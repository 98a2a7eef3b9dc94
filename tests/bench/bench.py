#!/usr/bin/env python3
"""The bench: rows of medians, spreads and ratios, Veranda and git interleaved; each row checks what it measured. Started by tools/bench."""
import argparse
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
from harness.wait import wait_for  # noqa: E402


BENCH_PARTS = os.environ.get("VERANDA_BENCH_PARTS", str(pathlib.Path(__file__).resolve().parents[2] / "build/bench/bench_parts"))


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

    def served(self, size):
        """A copy of the generated repository that the server serves and that may be pushed to."""
        path = self.root / f"{size.name}.git"
        if not path.exists():
            shutil.copytree(kept(size, os.environ.get("VERANDA_BENCH_DIR", "/tmp/veranda-bench")), path)
        return path

    def manifests(self, size):
        folder = self.fresh("manifests")
        (folder / "r.yaml").write_text(manifest("r", f"{self.server.url}/{size.name}.git"))
        return folder

    def cold(self, size):
        """From nothing to everything stored, against a bare clone; the same over and over, each in a new folder."""
        self.served(size)
        git, veranda, memory, data = [], [], [], None
        manifests = self.manifests(size)
        for _ in range(self.arguments.runs or (3 if size.packages >= 1000 else 5)):
            mirror = self.fresh("mirror")
            git.append(timed(["git", "clone", "-q", "--mirror", f"{self.server.url}/{size.name}.git", mirror / "m.git"], env=ENVIRONMENT)[0])
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
        """One new commit with its tag, and nothing new: `veranda sync --wait` against `git fetch` into a mirror, both as processes."""
        remote = Repository.__new__(Repository)
        remote.path, remote.clock = str(self.served(size)), 1_900_000_000
        mirror = self.fresh("mirror") / "m.git"
        timed(["git", "clone", "-q", "--mirror", f"{self.server.url}/{size.name}.git", mirror], env=ENVIRONMENT)
        daemon = Daemon(self.manifests(size), self.fresh("data"), "--health-check-frequency=0")
        try:
            daemon.wait_condition("r", "Ready", seconds=600)
            fetch = ["git", "-C", mirror, "fetch", "-q", "--prune", "origin"]
            sync = daemon.command("sync", "r", "--wait")
            before, rows = set(daemon.revisions("r")), {"commit": ([], []), "nothing": ([], [])}
            runs = self.arguments.runs or 11
            for number in range(1, runs + 1):
                path = f"bench/run-{number:03d}"
                remote.commit("main", package(path, number), "Add\n\n" + annotation(package=path, workspace="v1"))
                remote.tag(f"{path}/v1")
                for kind in ("commit", "nothing"):
                    order = [(0, fetch, ENVIRONMENT), (1, sync, CLEAN)]
                    for which, command, environment in order if number % 2 else reversed(order):
                        rows[kind][which].append(timed(command, env=environment)[0])
            wanted = before | {f"r.bench.run-{n:03d}.{w}" for n in range(1, runs + 1) for w in ("v1", "main")}
            expect(f"revisions of {size.name} after {runs} commits", set(daemon.revisions("r")) ^ wanted, set())
            self.report.row(f"one new commit {size.name}", *rows["commit"], "<= 0.25x")
            self.report.row(f"nothing new {size.name}", *rows["nothing"], "<= 0.08x", f"resident {resident(daemon.process.pid) >> 20} MiB")
        finally:
            daemon.stop()

    def parts(self, size):
        """The stages of a sync without the daemon: fetch, discovery, store; a second process goes on after one more commit."""
        remote = Repository.__new__(Repository)
        remote.path, remote.clock = str(self.served(size)), 1_950_000_000
        url = f"{self.server.url}/{size.name}.git"
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

    def idle(self, count=1000):
        """Many unchanged remotes: CPU of a round of listings against `git ls-remote` of each, memory, restart."""
        source = kept(SIZES["S"], os.environ.get("VERANDA_BENCH_DIR", "/tmp/veranda-bench"))
        for number in range(count):
            copy = self.root / f"idle/{number}.git"
            if not copy.exists():
                shutil.copytree(source, copy, copy_function=os.link)
        manifests, data = self.fresh("manifests"), self.fresh("data")
        (manifests / "all.yaml").write_text("---\n".join(manifest(f"r{n}", f"{self.server.url}/idle/{n}.git") for n in range(count)))
        daemon = Daemon(manifests, data, "--health-check-frequency=20s")
        try:
            def ready():
                return sum((c := r.get("status", {}).get("conditions", [])) and c[0]["reason"] == "Ready" or 0 for r in daemon.items("repositories")) == count
            wait_for(ready, f"{count} ready repositories", 600)
            expect("revisions of all", len(daemon.items("packagerevisions")), count * SIZES["S"].package_revisions)
            settle = len(self.server.requests())
            wait_for(lambda: len(self.server.requests()) >= settle + count, "a first round", 120)
            begin, requests = cpu(daemon.process.pid), len(self.server.requests())
            wait_for(lambda: len(self.server.requests()) >= requests + count, "a round of listings", 120)
            spent, served = cpu(daemon.process.pid) - begin, len(self.server.requests()) - requests
            memory = resident(daemon.process.pid)
        finally:
            daemon.stop()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for number in range(count):
            timed(["git", "ls-remote", "-q", f"{self.server.url}/idle/{number}.git"], env=ENVIRONMENT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        git = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.report.row(f"idle: CPU per poll ({count})", [git / count], [spent / served], "1/90", f"daemon {memory >> 20} MiB resident, {(memory - (32 << 20)) / count / 1024:.0f} KiB each beyond 32 MiB")
        lines = len(self.server.requests())
        begin = time.perf_counter()
        daemon = Daemon(manifests, data, "--health-check-frequency=20s")
        try:
            self.report.note("restart: ready again", f"{time.perf_counter() - begin:.2f} s")
            wait_for(lambda: len(self.server.requests()) >= lines + count, "a listing of each", 120)
            later = self.server.requests()[lines:]
            self.report.note("restart: listed all", f"{time.perf_counter() - begin:.2f} s, {len(later)} requests for {count} repositories, CPU {cpu(daemon.process.pid):.2f} s")
        finally:
            daemon.stop()


def disk(path):
    return sum(p.stat().st_blocks * 512 for p in pathlib.Path(path).rglob("*") if p.is_file())


def resident(pid):
    return next(int(line.split()[1]) * 1024 for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="S and M, the rows of a sync only")
    parser.add_argument("--sizes", default="S,M,L")
    parser.add_argument("--rows", default="cold,running,parts,idle")
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
