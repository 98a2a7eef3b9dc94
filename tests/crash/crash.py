#!/usr/bin/env python3
"""Ends or fails the daemon at every call that changes its data directory, one after the other, and holds what comes of it against an undisturbed run; then kills a daemon under load
again and again. Prints a table. Exit status: 0 all is as it must be, 1 something is not. Started by tools/crash.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e")]
from harness.crashes import ENDINGS, FAILURES, SCENARIOS, Injector, SmallDisks  # noqa: E402


HOWS = [*ENDINGS, *FAILURES, "small"]


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS), help="which syncs; all without this")
    parser.add_argument("--how", action="append", choices=HOWS, help="what happens at the call (small: the disk has room for some pages only); everything, one after the other, without this")
    parser.add_argument("--step", type=int, default=1, help="every STEPth call only")
    parser.add_argument("--begin", type=int, default=1, help="the first call")
    parser.add_argument("--kills", type=int, default=200, help="how often a daemon under load is killed, at the end")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    arguments = parsed()
    total, failed = 0, []
    with tempfile.TemporaryDirectory(prefix="veranda-crash-") as folder:
        for name in arguments.scenario or SCENARIOS:
            scenario = SCENARIOS[name](pathlib.Path(folder) / name)
            for how in arguments.how or HOWS:
                begin = time.monotonic()
                if how == "small" and (refusal := SmallDisks.refusal()):
                    print(f"SKIPPED: {name} on small disks: {refusal}", flush=True)
                    continue
                count, wrong = SmallDisks(scenario).run_all(arguments.step, arguments.jobs) if how == "small" else Injector(scenario, how, arguments.seed).run_all(
                    arguments.step, arguments.begin, arguments.jobs)
                print(f"{name:<12} {how:<8} {count:5} calls, {len(wrong)} wrong, {time.monotonic() - begin:.0f} s", flush=True)
                for text in wrong[:20]:
                    print("WRONG:", text, flush=True)
                total += count
                failed += wrong
    print(f"{total} runs disturbed, {len(failed)} of them with consequences", flush=True)
    killed = not arguments.kills or killed_under_load(arguments.kills, arguments.seed)
    return 1 if failed or not total or not killed else 0


def killed_under_load(kills, seed):
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-B", HERE.parent / "e2e" / "run.py", "-v", "test_crash.KilledUnderLoad"], env=os.environ | {"VERANDA_KILLS": str(kills), "VERANDA_SEED": str(seed)}, check=False)
    print(f"killed {kills} times under load in {time.monotonic() - begin:.0f} s: {'all is well' if done.returncode == 0 else 'FAILED'}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
