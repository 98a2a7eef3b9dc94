"""Remotes over ssh, at a real sshd, and over git://, at a real git daemon."""
import contextlib
import pathlib
import time

from harness.case import Case, manifest, secret
from harness.git_daemon import GitDaemon
from harness.silent import Silent
from harness.ssh_server import SshServer
from harness.wait import wait_for


def threads(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("Threads:")).split()[1])


class SshCase(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.publish("a/b", 1)
        self.ssh = SshServer(self.folder / "sshd")
        self.addCleanup(self.ssh.close)
        self.url = self.ssh.url(f"{self.git_root}/r.git")
        self.write("r.yaml", manifest("r", self.url, secret="deploy"))

    def keys(self, key="ed25519", known_hosts=None, kind="kubernetes.io/ssh-auth", name="ssh-privatekey"):
        data = {name: self.ssh.key(key), "known_hosts": self.ssh.known_hosts() if known_hosts is None else known_hosts}
        self.write("secret.yaml", secret("deploy", kind, {k: v for k, v in data.items() if v}))


class Ssh(SshCase):
    def test_syncs_and_keeps_the_key_to_itself(self):
        for kind, key, name in (("kubernetes.io/ssh-auth", "rsa", "ssh-privatekey"), ("Opaque", "ed25519", "identity")):
            with self.subTest(key):
                self.keys(key, kind=kind, name=name)
                data = self.folder / f"data-{key}"
                daemon = self.daemon(data=data)
                daemon.wait_condition("r", "Ready")
                self.remote.publish("late", 1 if key == "rsa" else 2)
                daemon.cli("sync", "r", "--wait")
                self.assert_as_scanned(daemon, "r", self.url, "--ssh-key-file", self.ssh.folder / key, "--known-hosts-file", self.ssh.folder / "known_hosts")
                told = daemon.log() + daemon.cli("dump", "-o", "json") + daemon.cli("get", "repositories", "-o", "json")
                line = max(self.ssh.key(key).splitlines(), key=len)
                self.assertGreater(len(line), 40)
                self.assertNotIn(line, told)
                daemon.stop()
                for path in data.rglob("*"):
                    if path.is_file():
                        self.assertNotIn(line.encode(), path.read_bytes(), path)

    def test_a_key_that_is_replaced_is_used_at_once(self):
        self.keys("rsa")
        daemon = self.daemon("--health-check-frequency=1h")  # nothing but the Secret's change can be why
        daemon.wait_condition("r", "Ready")
        self.ssh.make_key("next")
        self.ssh.authorize("rsa", "next")
        self.assertNotIn(" ED25519 ", self.ssh.log())
        self.keys("next")
        wait_for(lambda: " ED25519 SHA256:" in self.ssh.log(), "a login with the new key", 10)
        self.ssh.authorize("next")
        self.remote.publish("late", 1)
        daemon.cli("sync", "r", "--wait")
        self.assertIn("r.late.v1", daemon.revisions("r"))
        self.assert_nothing_failed(daemon)
        self.assertNotIn("Failed publickey", self.ssh.log())

    def test_what_is_refused_says_what_to_do(self):
        other = f"[127.0.0.1]:{self.ssh.port} {(self.ssh.folder / 'rsa.pub').read_text()}"
        self.keys(known_hosts=other)
        daemon = self.daemon()
        self.assertIn("(auth_rejected)", self.told(daemon, "another key"))
        self.keys(known_hosts="")
        self.assertIn(f"ssh-keyscan -p {self.ssh.port} 127.0.0.1", self.told(daemon, "has no `known_hosts`"))
        self.ssh.make_key("stranger")
        self.keys("stranger")
        self.told(daemon, f"the key was refused for the account {self.ssh.user}")
        self.keys()
        daemon.wait_condition("r", "Ready")
        self.write("r.yaml", manifest("r", f"{self.url}x", secret="deploy"))
        self.assertIn("(not_found)", self.told(daemon, "no such repository"))
        self.write("r.yaml", manifest("r", self.url))
        self.assertIn("(auth_rejected)", self.told(daemon, "name a secret with `ssh-privatekey`"))
        self.write("r.yaml", manifest("r", self.server().url + "/r.git", secret="deploy"))
        self.assertIn("(auth_rejected)", self.told(daemon, "holds an ssh key only"))

    def test_unknown_hosts_when_they_are_permitted(self):
        self.keys(known_hosts="")
        daemon = self.daemon("--ssh-accept-unknown-hosts")
        daemon.wait_condition("r", "Ready")
        self.keys(known_hosts=f"[127.0.0.1]:{self.ssh.port} {(self.ssh.folder / 'rsa.pub').read_text()}")
        self.told(daemon, "another key")

    def test_black_holes_cost_nobody_else_anything(self):
        self.keys()
        daemon = self.daemon("--connect-timeout=2s", "--health-check-frequency=1s")
        daemon.wait_condition("r", "Ready")
        self.write("local.yaml", manifest("local", str(self.git_root / "r.git")))
        daemon.wait_condition("local", "Ready")
        before = threads(daemon)
        with contextlib.closing(Silent()) as hole:
            names = [f"hole{number}" for number in range(20)]
            self.write("holes.yaml", *(manifest(name, f"ssh://git@127.0.0.1:{hole.port}/{name}.git", secret="deploy") for name in names))
            most = 0
            deadline = time.monotonic() + 90
            while any(daemon.condition(name).get("reason") not in ("Error", "HostUnavailable") for name in names) and time.monotonic() < deadline:
                most = max(most, threads(daemon))
                time.sleep(0.2)
            self.assertLessEqual(most, before)
            said = [daemon.condition(name) for name in names]
            self.assertEqual({c["reason"] for c in said} | {"HostUnavailable"}, {"Error", "HostUnavailable"}, "some tried, and the others need not")
            for c in said:
                self.assertIn("(timed_out)" if c["reason"] == "Error" else "the server took the connection and said nothing", c["message"])
            self.remote.publish("late", 1)
            daemon.cli("sync", "local", "--wait")
            self.assertIn("local.late.v1", daemon.revisions("local"))
            daemon.stop()


class GitProtocol(Case):
    def test_is_off_until_it_is_allowed(self):
        remote = self.repository("r")
        remote.publish("a/b", 1)
        server = GitDaemon(self.git_root)
        self.addCleanup(server.close)
        self.write("r.yaml", manifest("r", server.url("r.git")))
        daemon = self.daemon()
        message = daemon.wait_condition("r", "Error")["message"]
        self.assertIn("--allow-git-protocol", message)
        self.assertIn("(invalid_spec)", message)
        daemon.stop()
        daemon = self.daemon("--allow-git-protocol")
        daemon.wait_condition("r", "Ready")
        remote.publish("late", 1)
        daemon.cli("sync", "r", "--wait")
        self.assert_as_scanned(daemon, "r", server.url("r.git"))
        self.write("r.yaml", manifest("r", server.url("absent.git")))
        wait_for(lambda: "does not allow reading" in daemon.condition("r").get("message", ""), "a refusal")
        daemon.stop()
        self.assertIn("is refused by --deny-cidr", self.daemon("--allow-git-protocol", "--deny-cidr=127.0.0.1/32").wait_condition("r", "Error")["message"])
