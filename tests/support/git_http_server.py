#!/usr/bin/env python3
"""The git server of the end-to-end tests (harness/git_server.py) as a program, for tests that are none in Python.

Prints NAME=VALUE lines (url, ca, client) and `ready`, serves until its standard input is closed or it is terminated, then removes what it made.

  git_http_server.py --root DIR [--tls | --mtls] [--user NAME --password PASSWORD] [--v0]

--tls   with HTTP/2 and a certificate of a private CA for localhost; `ca` names the PEM file
--mtls  as --tls, and clients must show a certificate of that CA: CLIENT.crt and CLIENT.key of the line `client=CLIENT`
--v0    git does not hear which protocol the client asks for, so that the server speaks protocol v0
"""
import argparse
import contextlib
import pathlib
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.git_server import GitServer  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--mtls", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--v0", action="store_true")
    args = parser.parse_args()
    tls = args.tls or args.mtls
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="veranda-git-http-") as folder:
        users = {args.user: args.password} if args.user else None
        with contextlib.closing(GitServer(folder, pathlib.Path(args.root).resolve(), tls, users, v2=not args.v0, clients=args.mtls, http2=True)) as server:
            print(f"url={server.url.replace('127.0.0.1', 'localhost') if tls else server.url}")
            print(f"ca={folder}/ca.crt" if tls else "ca=")
            print(f"client={folder}/client" if args.mtls else "client=", "ready", sep="\n", flush=True)
            while sys.stdin.buffer.read(4096):
                pass


if __name__ == "__main__":
    main()
