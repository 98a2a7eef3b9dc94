"""Ends a sync at one call after the other that changes the data directory, or lets that call fail, and holds what comes of it against an undisturbed run."""
import concurrent.futures
import contextlib
import itertools
import pathlib
import random
import shutil
import subprocess
import tempfile
import time

from .case import manifest
from .disk_faults import CUTS, PAGE, Picture, PowerCut, environment, once, query
from .git import Repository, package
from .wait import wait_for

ENDINGS = ("die", "torn", *CUTS)                  # the process ends at the call
FAILURES = ("ENOSPC", "EROFS", "EIO", "once")     # the call fails, and all later ones that such a disk refuses, or it alone
PATIENT = 4  # times as many runs at a time when the disk fails: they wait more than they work
TYPED = ("unavailable", "No space left", "Read-only file system", "Input/output error", "disk full", "disk is full", "cannot be written", "cannot be opened", "reading or writing the file failed")


class Scenario:
    """Remotes, manifests and a data directory, and what one undisturbed sync makes of them. Contents are the same each time."""

    flags = ()
    merges = False  # whether packs of a mirror are merged
    ready = 0  # exit status of an undisturbed run

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.manifests, self.before = self.folder / "manifests", None
        self.manifests.mkdir(mode=0o700)
        self.prepare()
        data = self.fresh("undisturbed")
        done = once(self.manifests, data, *self.flags)
        if done.returncode != self.ready:
            raise AssertionError(f"the undisturbed run ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        self.picture = Picture(data)
        if wrong := self.picture.differences(data):
            raise AssertionError(f"the undisturbed run left {wrong}")
        if not self.is_itself(data):
            raise AssertionError(f"the undisturbed run did not do what {type(self).__name__} is about")

    def repository(self, name="r"):
        remote = Repository(self.folder / f"{name}.git")
        self.write(name, remote)
        return remote

    def write(self, name, remote, **more):
        (self.manifests / f"{name}.yaml").write_text(manifest(name, remote.path, **more))
        (self.manifests / f"{name}.yaml").chmod(0o600)

    def synced(self):
        """The remotes as they are now are what the data directory knows from here on."""
        data = self.fresh("before.new")
        done = once(self.manifests, data, *self.flags)
        if done.returncode != 0:
            raise AssertionError(f"a run to begin with ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        self.before = self.folder / "before"
        shutil.rmtree(self.before, ignore_errors=True)
        data.rename(self.before)

    def fresh(self, name):
        """A copy of the data directory as it is before the sync."""
        data = self.folder / name
        shutil.rmtree(data, ignore_errors=True)
        if self.before:
            shutil.copytree(self.before, data)
        return data

    def prepare(self):
        raise NotImplementedError

    def is_itself(self, data):
        """Whether the undisturbed run, which left `data`, did what this scenario is there for."""
        return True


class Cold(Scenario):
    """All is new: the data directory, the stores, the mirror."""

    def prepare(self):
        publish_some(self.repository())


class Empty(Scenario):
    """Nothing has changed."""

    def prepare(self):
        publish_some(self.repository())
        self.synced()


class Incremental(Scenario):
    """Packages came, changed and went."""

    def prepare(self):
        remote = self.repository()
        publish_some(remote)
        self.synced()
        change_some(remote)


class Merging(Scenario):
    """As incremental, and there are many packs in the mirror then, which are merged."""

    merges = True

    def prepare(self):
        remote = self.repository()
        publish_some(remote)
        for number in range(16):
            self.synced()
            remote.commit("main", package("grow", number))
        change_some(remote)

    def is_itself(self, data):
        return len(packs(data)) < len(packs(self.before))


class Outgrown(Scenario):
    """The mirror holds mostly what no ref leads to, and its packs are written anew without that."""

    merges = True

    def prepare(self):
        remote = self.repository()
        remote.commit("base", package("p"))
        for number in range(4):
            if number:
                self.synced()
            remote.git("update-ref", "refs/heads/main", remote.resolve("refs/heads/base"))
            remote.commit("main", {"p/blob": random.Random(number).randbytes(600 << 10)})

    def is_itself(self, data):
        return sum(path.stat().st_size for path in packs(data)) < sum(path.stat().st_size for path in packs(self.before))


class Evicting(Scenario):
    """The mirror of a repository that is new takes the room of another's."""

    flags = ("--mirror-max-bytes", "1Mi")

    def prepare(self):
        for name in "abc":
            if name != "a":
                self.synced()
            self.repository(name).commit("main", {"p/blob": random.Random(name).randbytes(400 << 10), **package("p")})

    def is_itself(self, data):
        return len({path.parent for path in packs(data)}) == len({path.parent for path in packs(self.before)}) == 2


class Planned(Scenario):
    """A one-time sync that was accepted has become due, and somebody has asked for a sync."""

    def prepare(self):
        remote = self.repository()
        publish_some(remote)
        due = int(time.time()) + 5
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due))
        self.write("r", remote, run_once_at=at)
        self.synced()
        if not self.plans(self.before)[0]:
            raise AssertionError("the one-time sync was not accepted before it was due")
        wait_for(lambda: time.time() > due, at)
        change_some(remote)
        self.write("r", remote, run_once_at=at, annotations={"veranda.dev/sync-requested-at": at})

    @staticmethod
    def plans(data):
        """What was accepted, what of it was done, and the last request that was."""
        return query(data / "packages.db", "SELECT accepted_run_once, consumed_run_once, handled_request FROM repositories")[0]

    def is_itself(self, data):
        accepted, consumed, request = self.plans(data)
        return bool(consumed) and bool(request) and self.plans(self.before)[1:] != (consumed, request)


def packs(data):
    return list(data.glob("mirrors/**/*.pack"))


def publish_some(remote):
    for number in range(3):
        remote.publish(f"team/p{number}", 1)
    remote.commit("drafts/team/p0/w2", package("team/p0", 2), start="refs/heads/main")


def change_some(remote):
    remote.publish("team/p1", 2)
    remote.publish("new", 1)
    remote.delete("refs/tags/team/p2/v1")
    remote.commit("drafts/team/p0/w2", package("team/p0", 3))


SCENARIOS = {"cold": Cold, "empty": Empty, "incremental": Incremental, "merging": Merging, "outgrown": Outgrown, "evicting": Evicting, "planned": Planned}


def judge_failure(done):
    """What is wrong with how a run met a disk that fails: it ends by no signal, and names the disk."""
    said = done.stdout + done.stderr
    if done.returncode not in (0, 1):
        return [f"it ended with {done.returncode}: {said}"]
    if done.returncode == 1 and not any(text in said for text in TYPED):
        return [f"nothing that it says names the disk: {said}"]
    return []


def forget_unremoved(data, calls, at):
    """What the disk would not let go may stay until somebody opens that mirror again, which is not needed when the sync went well all the same."""
    unremoved = set()
    for line in calls.read_text().splitlines()[at - 1:]:
        call, _, path = line.partition(" /")
        if path.startswith("mirrors/"):
            (unremoved.add if call == "remove" else unremoved.discard)(path)  # one of the name may have been made again
    for path in unremoved:
        (data / path).unlink(missing_ok=True)


class Injector:
    """Goes through the calls of a scenario. `run` may be asked for several at a time."""

    def __init__(self, scenario, how, seed=1):
        self.scenario, self.how, self.seed = scenario, how, seed

    def run(self, at):
        """Disturbs the run at one call. None when it came to its end before that; else what is wrong, as text, empty when all is well."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.how}-{at}-", dir=self.scenario.folder))
        try:
            data = self.scenario.fresh(f"{folder.name}/data")
            disturbed = self.disturb(folder, data, at)
            if disturbed is None:
                return None
            again = once(self.scenario.manifests, data, *self.scenario.flags)
            if self.how in FAILURES:
                forget_unremoved(data, folder / "calls", at)
            wrong = disturbed + ([f"the run after it ended with {again.returncode}: {again.stdout}{again.stderr}"] if again.returncode != self.scenario.ready else
                                 self.scenario.picture.differences(data, after_cut=self.how in CUTS, merges=self.scenario.merges))
            if not wrong:
                return ""
            last = (folder / "calls").read_text().splitlines()[-3:]
            return f"{self.how} at call {at} (seed {self.seed}; the last ones were {', '.join(last)}): " + "; ".join(wrong)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def disturb(self, folder, data, at):
        """What was wrong with the disturbed run itself; None when it was not disturbed."""
        calls, shadow = folder / "calls", folder / "shadow"
        more = {"log": calls}
        if self.how in CUTS:
            shadow.mkdir()
            more["shadow"] = shadow
        fault = "die" if self.how in CUTS else self.how
        done = once(self.scenario.manifests, data, *self.scenario.flags, **environment(data, fault, at, **more))
        reached = len(calls.read_text().splitlines()) >= at
        if self.how in FAILURES:
            return judge_failure(done) if reached else None
        if done.returncode != -9:
            return None if not reached else [f"it ended with {done.returncode} instead: {done.stderr}"]
        if self.how in CUTS:
            PowerCut(data, shadow, self.how, random.Random(f"{self.seed} {at}")).strike()
        return []

    def run_all(self, step=1, begin=1, jobs=2):
        """Every `step`th call until the run ends by itself. Answers how many were disturbed, and what was wrong."""
        count, wrong = 0, []
        jobs *= PATIENT if self.how in FAILURES else 1
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            at, ended = begin, False
            while not ended:
                batch = range(at, at + 16 * step, step)
                for found in pool.map(self.run, batch):
                    ended = ended or found is None
                    count += found is not None
                    wrong += [found] if found else []
                at = batch[-1] + step
        return count, wrong


class SmallDisks:
    """Runs a scenario on file systems that have room for some pages only, one page more each time, until it fits. Needs the right to mount."""

    def __init__(self, scenario):
        self.scenario = scenario

    @staticmethod
    def mount(folder, options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False)

    @classmethod
    def refusal(cls):
        """Why nothing can be mounted here; empty when it can."""
        with tempfile.TemporaryDirectory() as folder:
            tried = cls.mount(folder, "size=1m")
            if tried.returncode == 0:
                subprocess.run(["umount", folder], check=True)
            return tried.stderr.strip()

    def run(self, pages):
        """What is wrong when there is room for so many pages more than what is there before; whether the run could not go through."""
        with tempfile.TemporaryDirectory(prefix="disk-", dir=self.scenario.folder) as folder, contextlib.ExitStack() as stack:
            tried = self.mount(folder, "size=64m,mode=0700")
            if tried.returncode != 0:
                raise AssertionError(tried.stderr)
            stack.callback(subprocess.run, ["umount", "-l", folder], check=True)
            data = pathlib.Path(folder) / "data"
            if self.scenario.before:
                shutil.copytree(self.scenario.before, data)
            used = shutil.disk_usage(folder).used
            subprocess.run(["mount", "-o", f"remount,size={used + pages * PAGE}", folder], check=True)
            done = once(self.scenario.manifests, data, *self.scenario.flags)
            wrong = judge_failure(done)
            subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
            again = once(self.scenario.manifests, data, *self.scenario.flags)
            if again.returncode != self.scenario.ready:
                wrong.append(f"the run after it ended with {again.returncode}: {again.stdout}{again.stderr}")
            else:
                wrong += self.scenario.picture.differences(data)
            return [f"room for {pages} pages: " + "; ".join(wrong)] if wrong else [], done.returncode != 0

    def run_all(self, step=1, jobs=2):
        """Answers how many disks were too small, and what was wrong."""
        count, wrong = 0, []
        with concurrent.futures.ThreadPoolExecutor(jobs * PATIENT) as pool:
            for begin in itertools.count(0, 16 * step):
                found = list(pool.map(self.run, range(begin, begin + 16 * step, step)))
                count += sum(failed for _, failed in found)
                wrong += [text for texts, _ in found for text in texts]
                if not found[-1][1]:
                    return count, wrong
