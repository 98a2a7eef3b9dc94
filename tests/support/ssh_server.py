#!/usr/bin/env python3
"""A real sshd for tests: the current user's, on a port of 127.0.0.1, with keys of its own. Nothing of the machine's own ssh is used or changed.

As a program it prints NAME=VALUE lines (port, user, folder) and `ready`, and serves until its standard input is closed.

  ssh_server.py [--v0]

The folder holds `authorized_keys`, which is read at every login, `known_hosts`, the host's keys (`host_rsa`, `host_ed25519`), two users' keys (`rsa`, `ed25519`; only
these are authorised), and `log`.

--v0   GIT_PROTOCOL is not taken from clients, as an sshd has it unless it is told otherwise: git speaks protocol v0
"""
import argparse
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SSHD = "/usr/sbin/sshd"
SEPARATION = pathlib.Path("/run/sshd")  # compiled in; an sshd of root does not start without it

CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_rsa
HostKey {folder}/host_ed25519
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
MaxStartups 1000
MaxSessions 1000
LogLevel VERBOSE
{protocol}
"""


def reserved_port():
    """A socket whose port is for nobody but a server that sets SO_REUSEADDR, as sshd does, for as long as it is open."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def make_key(path, kind):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *(["-b", "2048"] if kind == "rsa" else []), "-N", "", "-C", "test", "-f", str(path)], check=True, stdin=subprocess.DEVNULL)


def in_own_run(command):
    """The command, with a /run of its own when sshd wants something there that is not: a mount that nobody else sees. Where that is not permitted the folder is made."""
    if os.geteuid() != 0 or SEPARATION.is_dir():
        return command
    wrapped = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o mode=755 none /run && mkdir -m 755 /run/sshd && exec "$@"', "sh"]
    if subprocess.run([*wrapped, "true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return wrapped + command
    SEPARATION.mkdir(mode=0o755, exist_ok=True)
    return command


class SshServer:
    """Serves until closed."""

    def __init__(self, folder, v2=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.holder = reserved_port()
        self.port = self.holder.getsockname()[1]
        self.user = pwd.getpwuid(os.getuid()).pw_name
        for kind in ("rsa", "ed25519"):
            make_key(self.folder / f"host_{kind}", kind)
            make_key(self.folder / kind, kind)
        self.authorize("rsa", "ed25519")
        (self.folder / "known_hosts").write_text(self.known_hosts())
        (self.folder / "sshd_config").write_text(CONFIGURATION.format(port=self.port, folder=self.folder, protocol="AcceptEnv GIT_PROTOCOL" if v2 else ""))
        with (self.folder / "log").open("wb") as log:
            command = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self.process = subprocess.Popen(in_own_run(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0, cwd="/")
        deadline = time.monotonic() + 60
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd did not start:\n{self.log()}")
            time.sleep(0.02)

    def listens(self):
        with contextlib.closing(socket.socket()) as client:
            client.settimeout(10)
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def authorize(self, *keys, options=""):
        """From the next login on these keys are good, and no others."""
        new = self.folder / "authorized_keys.new"
        new.write_text("".join((options + " " if options else "") + (self.folder / f"{key}.pub").read_text() for key in keys))
        new.rename(self.folder / "authorized_keys")

    def make_key(self, name, kind="ed25519"):
        """Another key pair; answers the private key."""
        make_key(self.folder / name, kind)
        return self.key(name)

    def key(self, name="ed25519"):
        return (self.folder / name).read_text()

    def known_hosts(self, host="127.0.0.1", kinds=("rsa", "ed25519")):
        return "".join(f"[{host}]:{self.port} {(self.folder / f'host_{kind}.pub').read_text()}" for kind in kinds)

    def url(self, path, host="127.0.0.1"):
        return f"ssh://{self.user}@{host}:{self.port}{path}"

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.holder.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--v0", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder = tempfile.mkdtemp(prefix="veranda-sshd-")
    server = None
    try:
        server = SshServer(folder, v2=not args.v0)
        print(f"port={server.port}\nuser={server.user}\nfolder={folder}\nready", flush=True)
        sys.stdin.read()
    finally:
        if server:
            server.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
