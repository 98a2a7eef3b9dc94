"""`createBranch`: a missing branch is made, if that is allowed, and nothing else is ever pushed."""
from harness.case import Case, manifest, secret
from harness.git import package
from harness.ssh_server import SshServer
from harness.wait import wait_for


def wanting(name, url, branch="main", **more):
    return manifest(name, url, branch=branch, **more) + "    createBranch: true\n"


class CreateBranch(Case):
    def setUp(self):
        super().setUp()
        self.remote = self.repository("r")
        self.remote.git("config", "http.receivepack", "true")

    def subject(self, branch):
        return self.remote.git("log", "--format=%s", branch)

    def test_nothing_is_pushed_without_the_setting(self):
        self.write("r.yaml", wanting("r", f"{self.server().url}/r.git"))
        daemon = self.daemon("--health-check-frequency=1s")
        self.assertIn("--allow-create-branch", daemon.wait_condition("r", "Error")["message"])
        self.assertEqual(self.remote.git("for-each-ref"), "")

    def test_a_branch_is_made_read_and_written_to(self):
        server = self.server()
        ssh = SshServer(self.folder / "sshd")
        self.addCleanup(ssh.close)
        self.write("secret.yaml", secret("deploy", "kubernetes.io/ssh-auth", {"ssh-privatekey": ssh.key("ed25519"), "known_hosts": ssh.known_hosts()}))
        urls = {"http": f"{server.url}/r.git", "local": self.remote.path, "ssh": ssh.url(f"{self.git_root}/r.git")}
        for name, url in urls.items():
            self.write(f"{name}.yaml", wanting(name, url, branch=f"for-{name}", secret="deploy" if name == "ssh" else ""))
        self.write("other.yaml", manifest("other", self.remote.path, branch="unwanted"))
        daemon = self.daemon("--allow-create-branch")
        for name in urls:
            with self.subTest(name):
                self.assertIn("no packages found", daemon.wait_condition(name, "Ready")["message"])
                self.assertEqual(self.subject(f"for-{name}"), f"Initial commit: creating branch for-{name}")
                self.remote.commit(f"for-{name}", package("a"))
                daemon.cli("sync", name, "--wait")
                self.assertIn(f"{name}.a.for-{name}", daemon.revisions(name))
        daemon.wait_condition("other", "Error")
        self.assertEqual({line.split()[-1] for line in self.remote.git("for-each-ref").splitlines()}, {f"refs/heads/for-{name}" for name in urls})

    def test_two_daemons_make_it_once(self):
        self.write("r.yaml", wanting("r", f"{self.server().url}/r.git"))
        daemons = [self.daemon("--allow-create-branch", data=self.folder / f"data-{n}", wait=False) for n in range(2)]
        for daemon in daemons:
            daemon.wait_ready()
            daemon.wait_condition("r", "Ready")
        self.assertEqual(self.remote.git("rev-list", "--count", "main"), "1")
        commits = {daemon.repository("r")["status"]["gitCommitHash"] for daemon in daemons}
        self.assertEqual(commits, {self.remote.resolve("main")})

    def test_a_refusal_is_said_and_heals(self):
        self.remote.git("config", "http.receivepack", "false")
        self.write("r.yaml", wanting("r", f"{self.server().url}/r.git"))
        daemon = self.daemon("--allow-create-branch")
        message = daemon.wait_condition("r", "Error")["message"]
        self.assertIn("pushing to this repository is not allowed (HTTP 403)", message)
        self.assertIn("(auth_rejected)", message)
        self.remote.git("config", "http.receivepack", "true")
        daemon.cli("sync", "r", "--wait")
        wait_for(lambda: daemon.condition("r").get("reason") == "Ready", "the branch to be made")
