"""What goes on all the time during a soak: objects that people make, change and delete, remotes that move, and the weather between daemon and API server."""
import collections
import datetime
import http.client
import os
import random
import threading

from harness import faults
from harness.git import annotation, package
from harness.kube import CONFIG_API

from world import BRANCHES, DIRECTORIES, KEPT_TAGS, NAMESPACES, NOWHERE

MERGE = "application/merge-patch+json"
SCHEDULES = (None, "* * * * *", "*/2 * * * *", "61 * * * *")


class Activity(threading.Thread):
    """One kind of doing: `one` now and then, drawn with a seed of its own, while it is not paused."""

    def __init__(self, world, salt, pause):
        super().__init__(daemon=True)
        self.world, self.pause = world, pause
        self.random = random.Random(f"{world.arguments.seed} {salt}")
        self.running, self.ended, self.idle = threading.Event(), threading.Event(), threading.Event()
        self.counts, self.failure = collections.Counter(), None
        self.start()

    def run(self):
        while not self.ended.is_set():
            if not self.running.is_set():
                self.idle.set()
                self.running.wait(0.1)
                continue
            self.idle.clear()
            try:
                self.counts[self.one()] += 1
            except (OSError, http.client.HTTPException):  # the API server is being killed
                self.counts["not answered"] += 1
                self.ended.wait(0.5)
            except BaseException as failure:
                self.failure = failure
                self.idle.set()
                return
            self.ended.wait(self.random.expovariate(1 / self.pause))
        self.idle.set()

    def rest(self):
        """Pauses, after what is under way."""
        self.running.clear()
        if not self.idle.wait(60):
            raise AssertionError(f"{type(self).__name__} does not come to rest")
        self.check()

    def check(self):
        if self.failure:
            raise self.failure

    def stop(self):
        self.ended.set()
        self.running.set()
        self.join(60)


class Objects(Activity):
    """People at the API server. It asks the server itself, without the proxy."""

    def __init__(self, world, pause):
        self.names = [(NAMESPACES[n % len(NAMESPACES)], f"o-{n:04d}") for n in range(world.arguments.objects * 5 // 4)]
        self.foreign = {}  # uid -> text of the condition that somebody else has written last
        super().__init__(world, "objects", pause)

    def path(self, key):
        return f"{CONFIG_API}/namespaces/{key[0]}/repositories/{key[1]}"

    def git(self):
        draw = self.random
        branch = NOWHERE if draw.random() < 0.03 else draw.choice(BRANCHES)
        return {"repo": self.world.remotes.address(draw), "branch": branch, "directory": draw.choice(DIRECTORIES)}

    def manifest(self, key):
        return {"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "metadata": {"name": key[1], "namespace": key[0]},
                "spec": {"type": "git", "deployment": self.random.random() < 0.2, "git": self.git()}}

    def create_all(self, count):
        wanted = self.random.sample(self.names, count)
        self.world.cluster.expect_all("POST", [(self.path(key).rsplit("/", 1)[0], self.manifest(key)) for key in wanted])

    def one(self):
        key = self.random.choice(self.names)
        cluster, path = self.world.cluster, self.path(key)
        status, found = cluster.request("GET", path)
        if status == 404:
            status = cluster.request("POST", path.rsplit("/", 1)[0], self.manifest(key))[0]
            return "created" if status == 201 else f"create: {status}"
        if status != 200:
            return f"get: {status}"
        kind = self.random.choices(("deleted", "made anew", "moved", "edited", "asked for a sync", "scheduled", "once", "condition of another"),
                                   (20, 6, 14, 14, 18, 8, 4, 16))[0]
        change = getattr(self, kind.replace(" ", "_"))(key, found)
        return kind if change in (200, 201, 202) else f"{kind}: {change}"

    def patch(self, key, change, part=""):
        return self.world.cluster.request("PATCH", self.path(key) + part, change, content_type=MERGE)[0]

    def deleted(self, key, _):
        return self.world.cluster.request("DELETE", self.path(key))[0]

    def made_anew(self, key, _):
        status = self.world.cluster.request("DELETE", self.path(key))[0]
        again = self.world.cluster.request("POST", self.path(key).rsplit("/", 1)[0], self.manifest(key))[0]
        return again if again != 409 else status  # 409: its finalizer is still at work

    def moved(self, key, _):
        return self.patch(key, {"spec": {"git": self.git()}})

    def edited(self, key, _):
        return self.patch(key, {"metadata": {"labels": {"n": str(self.random.randrange(100))}}, "spec": {"description": f"text {self.random.randrange(1000)}"}})

    def asked_for_a_sync(self, key, _):
        stamp = datetime.datetime.now(datetime.timezone.utc).isoformat()
        return self.patch(key, {"metadata": {"annotations": {"veranda.dev/sync-requested-at": stamp, "veranda.dev/sync-mode": self.random.choice(("full", "", ""))}}})

    def scheduled(self, key, _):
        return self.patch(key, {"spec": {"sync": {"schedule": self.random.choice(SCHEDULES)}}})

    def once(self, key, _):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.random.randrange(1, 20))
        return self.patch(key, {"spec": {"sync": {"runOnceAt": at.strftime("%Y-%m-%dT%H:%M:%SZ")}}})

    def condition_of_another(self, key, found):
        """A controller of somebody else's, which keeps the conditions of others."""
        conditions = [c for c in found.get("status", {}).get("conditions", []) if c["type"] != "Audited"]
        if not conditions:
            return 200
        text = str(self.random.randrange(10**6))
        mine = {"type": "Audited", "status": "True", "reason": "Checked", "message": text, "lastTransitionTime": "2026-03-10T10:00:00Z"}
        uid = found["metadata"]["uid"]
        before = self.foreign.pop(uid, None)  # a write whose answer is lost may have been made
        status = self.patch(key, {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "status": {"conditions": [*conditions, mine]}}, "/status")
        if said := text if status == 200 else before:
            self.foreign[uid] = said
        return status


class Pushes(Activity):
    """People at the git remotes."""

    def __init__(self, world, pause):
        self.number = 0
        super().__init__(world, "pushes", pause)

    def one(self):
        remotes = self.world.remotes
        at = self.random.randrange(remotes.count)
        kind = self.random.choices(("commit", "publish", "force push", "draft"), (4, 3, 2, 2))[0]
        self.number += 1
        with remotes.locks[at]:
            getattr(self, kind.replace(" ", "_"))(remotes.repositories[at])
        return kind

    def commit(self, git):
        branch = self.random.choice(BRANCHES)
        git.commit(branch, package(self.random.choice(("p0", "team/p1", "team/new")), self.number), f"Change {self.number}")

    def publish(self, git):
        tags = sorted(int(t.rsplit("/v", 1)[1]) for t in git.git("tag", "-l", "p0/v*").split())
        git.publish("p0", tags[-1] + 1)
        for old in tags[:1 - KEPT_TAGS]:
            git.delete(f"refs/tags/p0/v{old}")

    def force_push(self, git):
        branch = f"refs/heads/{self.random.choice(BRANCHES)}"
        parent = git.resolve(branch + "~1")
        if parent:
            git.git("update-ref", branch, parent)
        git.commit(branch.removeprefix("refs/heads/"), package("p0", f"forced {self.number}"), f"Instead {self.number}")

    def draft(self, git):
        name = f"drafts/p0/w{self.random.randrange(3)}"
        if git.resolve(f"refs/heads/{name}") and self.random.random() < 0.4:
            git.delete(f"refs/heads/{name}")
        else:
            workspace = name.rsplit("/", 1)[1]
            git.commit(name, package("p0", f"draft {self.number}"), f"Draft {self.number}\n\n" + annotation(package="p0", workspace=workspace), start="refs/heads/main")


class Hosts(Activity):
    """What befalls the hosts of remotes."""

    def __init__(self, world, pause):
        super().__init__(world, "hosts", pause)

    def one(self):
        kind = self.random.choice(("repository away", "host silent", "host slow", "connections cut", "host killed", "host overrun"))
        getattr(self, kind.replace(" ", "_"))()
        return kind

    def repository_away(self):
        remotes = self.world.remotes
        at = self.random.randrange(remotes.count)
        with remotes.locks[at]:
            path = remotes.repositories[at].path
            os.rename(path, path + "-away")
            self.ended.wait(self.random.uniform(1, 8))
            os.rename(path + "-away", path)

    def host_silent(self):
        self.world.remotes.moody.stall()
        self.ended.wait(self.random.uniform(2, 9))
        self.world.remotes.moody.flow()

    def host_slow(self):
        self.world.remotes.moody.rate = 3000
        self.ended.wait(self.random.uniform(2, 9))
        self.world.remotes.moody.rate = None

    def connections_cut(self):
        self.world.remotes.moody.cut()

    def host_killed(self):
        remotes = self.world.remotes
        remotes.fragile.close()
        self.ended.wait(self.random.uniform(1, 15))
        remotes.fragile = remotes.start_fragile()

    def host_overrun(self):
        """More is asked than it lets anybody ask: 429."""
        self.world.remotes.fragile.overrun()
        self.ended.wait(self.random.uniform(2, 9))
        self.world.remotes.fragile.overrun(False)


class Machine(Activity):
    """What befalls the machine that the daemon runs on."""

    def __init__(self, world, pause):
        super().__init__(world, "machine", pause)

    def one(self):
        kind = self.random.choice(("disk full", "clock ahead", "clock behind"))
        machine = self.world.machine
        if kind == "disk full":
            machine.say(full=True)
        else:
            machine.say(ahead=self.random.uniform(60, 7200) * (1 if kind == "clock ahead" else -1))
        self.ended.wait(self.random.uniform(2, 12))
        machine.say(ahead=0, full=False)
        return kind


def storm(**fits):
    return [faults.server_error(status, share=0.3, **fits) for status in (500, 503, 504)]


FRONTS = {  # what a spell of bad weather consists of, for some seconds; `cut` first, so that new streams meet it
    "cut connections": lambda draw: [],
    "events cut in mid-line": lambda draw: [faults.Fault("cut watch", watch=True, cut_after=draw.randrange(50, 5000))],
    "slow events": lambda draw: [faults.Fault("slow watch", watch=True, rate=4000)],
    "slow answers": lambda draw: [faults.Fault("slow", watch=False, rate=20_000, share=0.5)],
    "late answers": lambda draw: [faults.Fault("late", wait=draw.uniform(0.2, 1.5), share=0.5)],
    "429 in plain text": lambda draw: [faults.too_many_requests(share=0.6)],
    "5xx storm": lambda draw: storm(),
    "5xx with Retry-After": lambda draw: [faults.server_error(503, retry_after=1, share=0.8)],
    "lost answers to writes": lambda draw: [faults.Fault("lose", method="PATCH", lose=True, share=0.5)],
    "refused connections": lambda draw: [faults.Fault("refuse", refuse=True, share=0.7)],
    "a login page": lambda draw: [faults.html(share=0.7)],
    "doubled events": lambda draw: [faults.Fault("duplicate", watch=True, edit=faults.duplicate)],
    "swapped events": lambda draw: [faults.Fault("swap", watch=True, edit=faults.swap)],
    "streams that end": lambda draw: [faults.Fault("end", watch=True, end_after=draw.randrange(1, 10))],
    "streams that stall": lambda draw: [faults.Fault("stall", watch=True, stall_after=draw.randrange(0, 5))],
    "410 Gone": lambda draw: [faults.event_error(410, "Expired", times=2)],
    "500 in a stream": lambda draw: [faults.event_error(500, "InternalError", times=2)],
    "409 to writes": lambda draw: [faults.answer(409, '{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","message":"modified","code":409}',
                                                 "application/json", method="PATCH", share=0.5)],
    "a pulled cable": None,
}


class Weather(Activity):
    """Spells of faults at the proxy, one or two at a time, then a while of peace."""

    def __init__(self, world, pause):
        self.left = []
        super().__init__(world, "weather", pause)

    def one(self):
        if not self.left:
            self.left = self.random.sample(sorted(FRONTS), len(FRONTS))  # each once before any again
        name = self.left.pop()
        proxy, length = self.world.proxy, self.random.uniform(2, 7)
        if FRONTS[name] is None:
            proxy.stall()
        else:
            proxy.add(*found) if (found := FRONTS[name](self.random)) else None
            if self.random.random() < 0.7 or not found:
                proxy.cut()
        self.ended.wait(length)
        proxy.clear()
        proxy.flow()
        return name

    def clear_up(self):
        """The end of all faults, those of streams that are open too."""
        self.world.proxy.clear()
        self.world.proxy.flow()
        self.world.proxy.cut()
