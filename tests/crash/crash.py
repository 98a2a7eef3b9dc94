#!/usr/bin/env python3
"""Ends or fails the daemon at every call that changes its data directory, one after the other, and holds what comes of it against an undisturbed run; then kills a daemon under load
again and again. Prints a table. Exit status: 0 all is as it must be, 1 something is not. Started by tools/crash.
"""
import argparse
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e")]
from harness.crashes import ENDINGS, FAILURES, SCENARIOS, Injector  # noqa: E402


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS), help="which syncs; all without this")
    parser.add_argument("--how", action="append", choices=[*ENDINGS, *FAILURES], help="what happens at the call; everything, one after the other, without this")
    parser.add_argument("--step", type=int, default=1, help="every STEPth call only")
    parser.add_argument("--begin", type=int, default=1, help="the first call")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    arguments = parsed()
    total, failed = 0, []
    with tempfile.TemporaryDirectory(prefix="veranda-crash-") as folder:
        for name in arguments.scenario or SCENARIOS:
            scenario = SCENARIOS[name](pathlib.Path(folder) / name)
            for how in arguments.how or [*ENDINGS, *FAILURES]:
                begin = time.monotonic()
                count, wrong = Injector(scenario, how, arguments.seed).run_all(arguments.step, arguments.begin, arguments.jobs)
                print(f"{name:<12} {how:<8} {count:5} calls, {len(wrong)} wrong, {time.monotonic() - begin:.0f} s", flush=True)
                for text in wrong[:20]:
                    print("WRONG:", text, flush=True)
                total += count
                failed += wrong
    print(f"{total} runs disturbed, {len(failed)} of them with consequences")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
