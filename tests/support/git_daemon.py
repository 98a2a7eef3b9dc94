#!/usr/bin/env python3
"""`git daemon` (harness/git_daemon.py) as a program, for tests that are none in Python.

Prints the line port=N and `ready`, and serves the bare repositories below a directory until its standard input is closed.

  git_daemon.py ROOT
"""
import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.git_daemon import GitDaemon  # noqa: E402

with contextlib.closing(GitDaemon(pathlib.Path(sys.argv[1]).resolve())) as server:
    print(f"port={server.port}", "ready", sep="\n", flush=True)
    while sys.stdin.buffer.read(4096):
        pass
