"""What the daemon holds: memory, descriptors, connections, threads, actors; and what of it may grow."""
import collections
import dataclasses
import json
import os
import pathlib
import statistics
import threading
import time

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Sample:
    """One look at a process. Times are monotonic, sizes are bytes."""
    at: float
    resident: int
    threads: int
    files: int
    sockets: int
    cpu: float


def look(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    links = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except OSError:
            pass
    number = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in status.splitlines()) if key in ("VmRSS", "Threads")}
    sockets = sum(link.startswith("socket:") for link in links)
    return Sample(time.monotonic(), number["VmRSS"] * 1024, number["Threads"], len(links) - sockets, sockets,
                  (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))


class Sampler(threading.Thread):
    """Looks every so many seconds until it is stopped."""

    def __init__(self, pid, pause=2.0):
        super().__init__(daemon=True)
        self.pid, self.pause, self.samples, self.ended = pid, pause, [], threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(self.pause):
            try:
                self.samples.append(look(self.pid))
            except (OSError, KeyError):
                return

    def stop(self):
        self.ended.set()
        self.join(30)


def slope(samples):
    """Growth of resident memory in bytes per second: the median of the slopes between all pairs, so that single peaks do not count."""
    step = max(1, len(samples) // 200)
    some = samples[::step]
    pairs = [(b.resident - a.resident) / (b.at - a.at) for n, a in enumerate(some) for b in some[n + 1:]]
    return statistics.median(pairs) if pairs else 0.0


def calm(pid, seconds):
    """The middle of some samples of a daemon that is left in peace, and the least of its descriptors."""
    samples = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        samples.append(look(pid))
        time.sleep(1)
    return Sample(samples[-1].at, *(int(statistics.median(getattr(s, field) for s in samples)) for field in ("resident", "threads", "files", "sockets")), samples[-1].cpu)


def actors(daemon):
    """Actors alive by kind, from the dump."""
    status, text = daemon.http("/dump")
    if status != 200:
        raise AssertionError(f"/dump answered {status}: {text[:1000]}")
    return collections.Counter(actor["kind"] for actor in json.loads(text)["actors"])
