#!/usr/bin/env python3
"""Runs the end-to-end suites against the binaries in $VERANDA_BIN_DIR: `tests/e2e/run.py [-v] [SUITE[.CASE[.TEST]]...]`.

Suites run in processes of their own, some at a time, for they mostly wait; the last line has the totals, and $COUNTS names a file for them.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 3600  # seconds for one suite; the longest takes some minutes
AT_A_TIME = 2 * len(os.sched_getaffinity(0))
FIRST = ("test_kube_replicas",)  # take longest
running = set()  # processes of suites, each the leader of a session


class Result(unittest.TextTestResult):
    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"SKIPPED: {test.id()}: {reason}", file=sys.stderr)


def run_here(names):
    sys.path.insert(0, str(HERE))
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(f"COUNTS {result.testsRun - failed - len(result.skipped)} {failed} {len(result.skipped)}", flush=True)
    return 0


def members(session):
    """The processes of a session that still run; its leader may be gone."""
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of = entry.read_text(errors="replace").rsplit(")", 1)[1].split()[:4]
            if int(of) == session and state not in "ZX":
                yield int(entry.parent.name)


def end_session(session):
    """Ends a suite with all that it started: daemons, servers of every kind and their children."""
    deadline = time.monotonic() + 10
    while (found := list(members(session))) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def run_suite(name):
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        process = subprocess.Popen([sys.executable, __file__, "--here", name], stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        running.add(process.pid)
        try:
            end = f"{name} ended with {process.wait(LIMIT)}\n"
        except subprocess.TimeoutExpired:
            end = f"{name} was killed after {LIMIT} s\n"
        finally:
            end_session(process.pid)
            running.discard(process.pid)
            process.wait()
        out.seek(0)
        said = out.read()
    counts = re.search(r"^COUNTS (\d+) (\d+) (\d+)$", said, re.M)
    return (name, time.monotonic() - begin, said if counts else said + end, tuple(map(int, counts.groups())) if counts else (0, 1, 0))


def main():
    arguments = [a for a in sys.argv[1:] if a != "-v"]
    if arguments[:1] == ["--here"]:
        return run_here(arguments[1:])
    names = arguments or sorted((path.stem for path in HERE.glob("test_*.py")), key=lambda name: (name not in FIRST, name))
    totals = [0, 0, 0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_A_TIME) as pool:
        try:
            for name, seconds, output, counts in pool.map(run_suite, names):
                print(output if counts[1] or "-v" in sys.argv else "".join(re.findall(r"^(?:SKIPPED|COUNT):.*\n", output, re.M)) + f"{name}: {counts[0]} passed in {seconds:.0f} s", flush=True)
                totals = [a + b for a, b in zip(totals, counts)]
        except BaseException:  # an interrupt reaches no session but ours
            pool.shutdown(wait=False, cancel_futures=True)
            for session in list(running):
                end_session(session)
            raise
    if os.environ.get("COUNTS"):
        pathlib.Path(os.environ["COUNTS"]).write_text("%d %d %d\n" % tuple(totals))
    print("end to end: %d passed, %d failed, %d skipped" % tuple(totals))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
