#!/usr/bin/env python3
"""The soak: the daemon on a real API server behind a fault proxy, with objects, remotes, hosts and the server itself changing all the time. Then faults and changes
stop, and everything is compared with the truth. Started by tools/soak.

Draws come from the seed; when they happen depends on the machine. Exit status: 0 all is as it must be, 1 something is not, 2 it could not run.
"""
import argparse
import collections
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time
import traceback
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE)]
from harness.usage import MIB, Sampler, actors, calm, slope  # noqa: E402
from harness.wait import wait_for  # noqa: E402

from churn import Hosts, Machine, Objects, Pushes, Weather  # noqa: E402
from truth import Truth  # noqa: E402
from world import World  # noqa: E402


CONNECTIONS = 64  # that the daemon keeps to git hosts (--max-connections): none of them before and all of them after is no leak


class Table:
    """What was found and what it must be; a row that is not as it must be makes the soak fail. `facts` are told, and judged by nobody."""

    def __init__(self):
        self.rows, self.facts, self.failed = [], [], 0

    def tell(self, what, total, parts):
        self.facts.append(f"{what}: {total}, of them " + ", ".join(f"{count} {of}" for of, count in sorted(parts.items(), key=lambda p: -p[1])))

    def add(self, what, found, wanted="", good=True):
        self.rows.append((what, str(found), str(wanted), "" if good else "FAILED"))
        self.failed += not good

    def show(self):
        widths = [max((len(row[n]) for row in self.rows), default=0) for n in range(3)]
        for what, found, wanted, verdict in self.rows:
            print(f"{what:<{widths[0]}}  {found:<{widths[1]}}  {wanted:<{widths[2]}}  {verdict}".rstrip())
        for fact in self.facts:
            print(fact)
        sys.stdout.flush()


class Soak:
    def __init__(self, world, arguments):
        self.world, self.arguments, self.table, self.begun = world, arguments, Table(), time.monotonic()
        self.activities = []

    def say(self, text):
        print(f"[{time.monotonic() - self.begun:6.0f} s] {text}", flush=True)

    def run(self):
        self.world.begin()
        rate = self.arguments.rate
        objects, pushes = Objects(self.world, 1 / rate), Pushes(self.world, 2 / rate)
        self.activities = [objects, pushes, Hosts(self.world, 6), *([Machine(self.world, 12)] if self.world.machine else []), Weather(self.world, 3)]
        try:
            objects.create_all(self.arguments.objects)
            self.say(f"{self.arguments.objects} objects, {self.arguments.remotes} repositories, daemon {self.world.daemon.process.pid}")
            self.storm(self.arguments.warm_up, "warm-up", restarts=1)
            before, kinds = self.peace()
            sampler = Sampler(self.world.daemon.process.pid)
            self.storm(self.arguments.seconds, "storm", self.arguments.restarts)
            sampler.stop()
            self.say("faults and changes have stopped")
            self.settle(objects)
            after, last = self.peace()
            self.judge(before, after, sampler.samples, kinds, last)
            self.tell()
        finally:
            for activity in self.activities:
                activity.stop()
        status = self.world.daemon.stop(60)
        self.table.add("exit status of the daemon", status, 0, status == 0)

    def storm(self, seconds, what, restarts):
        """Lets everything go on; the API server is killed `restarts` times, here, because it ends with the thread that started it."""
        begin = time.monotonic()
        self.say(f"{what} of {seconds:.0f} s")
        for activity in self.activities:
            activity.running.set()
        for number in range(1, restarts + 1):
            self.wait_until(begin + seconds * number / (restarts + 1))
            self.say(f"the API server is killed; {self.state()}")
            self.world.cluster.kill()
            time.sleep(self.world.random.uniform(1, 8))
            self.world.cluster.start()
        self.wait_until(begin + seconds)
        for activity in self.activities:
            activity.rest()
        self.activities[-1].clear_up()

    def wait_until(self, when):
        while (left := when - time.monotonic()) > 0:
            time.sleep(min(left, 1))
            if self.world.daemon.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.world.daemon.process.returncode}:\n{self.world.daemon.log()[-4000:]}")
            for activity in self.activities:
                activity.check()
            if int(when - time.monotonic()) % 60 == 0 and left > 1:
                self.say(self.state())

    def state(self):
        metrics = self.world.daemon.metrics()
        done = sum(value for name, value in metrics.items() if name.startswith("veranda_sync_runs_total"))
        return f"{metrics['veranda_repositories']:.0f} objects, {done:.0f} syncs, {metrics['veranda_cache_package_revisions']:.0f} revisions"

    def peace(self):
        """What the daemon holds when nothing changes and nothing fails."""
        time.sleep(self.arguments.peace)
        return calm(self.world.daemon.process.pid, 5), actors(self.world.daemon)

    def settle(self, objects):
        """Waits until everything is as git has it, and says how long that took, or what is wrong for good."""
        begin, truth = time.monotonic(), Truth(self.world, objects.foreign)
        items = self.world.objects()
        self.foreign_of_the_living(objects, items)
        truth.scan_all(items)
        scanned, wrong = time.monotonic() - begin, ["nothing was compared yet"]

        def right():
            nonlocal wrong, items
            items = self.world.objects()
            wrong = truth.statuses(items) or truth.rows(items) or (truth.objects(items) if self.arguments.cache == "cr" else [])
            return not wrong
        try:
            wait_for(right, "the truth", self.arguments.settle, 1)
        except AssertionError:
            for line in wrong[:40]:
                print("WRONG:", line)
            for actor in json.loads(self.world.daemon.http("/dump")[1])["actors"]:
                if actor["kind"].endswith("-writer"):
                    print("DUMP:", json.dumps({key: actor[key] for key in ("kind", "state", "mailbox", "inFlight", "lastError", "details") if key in actor}))
        ready = sum(truth.expected(item) is not None for item in items)
        self.table.add("objects whose status, rows and PackageRev objects are not as git has them", len(wrong), 0, not wrong)
        self.table.add("objects at the end", f"{len(items)}, {ready} of them to be ready, {len(items) - ready} to be in error")
        self.table.add("from the end of faults until all is right", f"{time.monotonic() - begin:.0f} s (of them {scanned:.0f} s of looking at git)", f"<= {self.arguments.settle} s")
        self.items = items

    @staticmethod
    def foreign_of_the_living(objects, items):
        uids = {item["metadata"]["uid"] for item in items}
        objects.foreign = {uid: text for uid, text in objects.foreign.items() if uid in uids}

    def judge(self, before, after, samples, kinds, last):
        """What must not have grown."""
        table, minutes = self.table, (samples[-1].at - samples[0].at) / 60
        rise = slope(samples) * 60
        allowed = max(12 * MIB, before.resident * 0.15)
        for what, one, two, slack in (("threads", before.threads, after.threads, 2), ("file descriptors without sockets", before.files, after.files, 8),
                                      ("sockets", before.sockets, after.sockets, CONNECTIONS)):
            table.add(what, f"{one} -> {two}", f"<= +{slack}", two <= one + slack)
        table.add("resident memory in peace", f"{before.resident / MIB:.1f} -> {after.resident / MIB:.1f} MiB", f"<= +{allowed / MIB:.1f} MiB", after.resident <= before.resident + allowed)
        table.add("resident memory in the storm", f"{min(s.resident for s in samples) / MIB:.1f} to {max(s.resident for s in samples) / MIB:.1f} MiB, {rise / MIB:+.2f} MiB a minute",
                  f"<= {allowed / minutes / MIB:+.2f} MiB a minute", rise * minutes <= allowed)
        table.add("processor", f"{(samples[-1].cpu - samples[0].cpu) / (minutes * 60):.1%} of one in the storm")
        remotes = {(i["metadata"]["namespace"] if i["spec"]["git"].get("secretRef") else "", i["spec"]["git"]["repo"]) for i in self.items}
        for kind in sorted(kinds | last):
            wanted = len(self.items) if kind == "repository" else len(remotes) if kind == "remote" else kinds[kind]
            table.add(f"actors: {kind}", last[kind], wanted, last[kind] == wanted)
        mirrors = sum(1 for entry in (self.world.daemon.data / "mirrors").glob("**/config"))
        table.add("mirrors", mirrors, f"<= {len(remotes)}", mirrors <= len(remotes))
        watches = 2 if self.arguments.cache == "cr" else 1
        table.add("watches at the API server", self.world.proxy.watches, watches, self.world.proxy.watches == watches)

    def tell(self):
        """What happened: figures for people."""
        table, metrics = self.table, self.world.daemon.metrics()
        for activity in self.activities:
            table.tell(f"done by {type(activity).__name__.lower()}", sum(activity.counts.values()), activity.counts)
        for name, label in (("sync_runs", "result"), ("status_writes", "result"), ("watch_events", "type")):
            by = collections.Counter()
            for sample, value in metrics.items():
                if sample.startswith(f"veranda_{name}_total{{") and value:
                    by[re.search(label + r'="([^"]*)"', sample).group(1)] += int(value)
            table.tell(name.replace("_", " "), sum(by.values()), by)
        requests = self.world.proxy.requests()
        table.tell("requests at the proxy", len(requests), collections.Counter(kind_of(r) for r in requests))
        table.tell("what befell them", sum(bool(r.fault) for r in requests), collections.Counter(r.fault for r in requests if r.fault))
        restarts = sum(v for n, v in metrics.items() if n.startswith("veranda_actor_restarts_total"))
        table.add("actors started again", f"{restarts:.0f}", 0, restarts == 0)
        levels = collections.Counter(re.findall(r"(?m)^\S+ \[?(\w+)\]?", self.world.daemon.log()))
        table.tell("log lines", sum(levels.values()), levels)


def kind_of(request):
    """`PATCH repositories/status`, `WATCH repositories`, `POST events`."""
    parts = request.path.split("/namespaces/")[-1].split("/")
    plural = parts[1] if "/namespaces/" in request.path and len(parts) > 1 else parts[-1]
    verb = "WATCH" if request.watch else request.method if request.method != "GET" or parts[-1] != plural else "LIST"
    return f"{verb} {plural}{'/status' if parts[-1] == 'status' else ''}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800, help="how long the storm is (1800)")
    parser.add_argument("--objects", type=int, default=500, help="Repository objects, about (500)")
    parser.add_argument("--remotes", type=int, default=80, help="git repositories (80)")
    parser.add_argument("--rate", type=float, default=4, help="changes of objects a second, and twice that pause between pushes (4)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settle", type=float, default=240, help="seconds that it may take until all is right (240)")
    parser.add_argument("--cache", default="sqlite", choices=("sqlite", "cr"), help="of the daemon; with cr every PackageRev object is compared, too")
    parser.add_argument("--flag", action="append", default=[], metavar="FLAG", help="a further flag of the daemon")
    parser.add_argument("--no-machine", dest="machine", action="store_false", help="leave the daemon its disk and its clock, which are full and wrong at times otherwise")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and data")
    arguments = parser.parse_args()
    arguments.warm_up = min(600.0, max(20.0, arguments.seconds))  # the heap, with caches of bounded size, comes to its extent within ten minutes
    arguments.peace = 25.0
    arguments.restarts = max(1, round(arguments.seconds / 200))
    return arguments


def main():
    arguments = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-soak-"))
    world, good = None, False
    try:
        world = World(folder, arguments)
        soak = Soak(world, arguments)
        try:
            soak.run()
        finally:
            soak.table.show()
        good = soak.table.failed == 0
        print("all is as it must be" if good else f"{soak.table.failed} FAILED", f"(seed {arguments.seed})")
        return 0 if good else 1
    except unittest.SkipTest as why:
        print(f"it cannot run: {why}", file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        if world:
            world.close()
        if arguments.keep or not good:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
