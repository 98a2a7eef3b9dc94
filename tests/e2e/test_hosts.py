"""Hosts that are down, that swallow connections, and that limit how often they are asked: they cost those elsewhere nothing."""
import collections
import contextlib
import http.server
import pathlib
import re
import shutil
import socket
import threading
import time
import unittest

from harness.case import Case, manifest, secret
from harness.git import Repository
from harness.hostile_git import RESULT, HostileGit, honest, on_band, packet
from harness.ssh_server import SshServer
from harness.wait import LONG, free_port, stays, wait_for

TROUBLED = ("Error", "HostUnavailable")


def threads(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"(?m)^Threads:\s+(\d+)$", status).group(1))


class Limiter:
    """An HTTP server that answers the first request with 429 and `Retry-After`, and every other one with 404."""

    def __init__(self, seconds):
        self.paths = []
        limiter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                limiter.paths.append(self.path)
                first = len(limiter.paths) == 1
                self.send_response(429 if first else 404)
                if first:
                    self.send_header("Retry-After", str(seconds))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(LONG)


class BlackHoles(Case):
    """50 remotes that take connections and never answer, 25 over http and 25 over ssh, each at a host of its own, beside 200 that work."""
    HEALTHY = 200
    OVER_SSH = 10  # of them
    HOLES = 25  # of each kind

    def setUp(self):
        super().setUp()
        template = self.repository("r")
        template.publish("a/b", 1)
        self.remotes = {}
        for number in range(self.HEALTHY):
            path = self.git_root / f"r{number}.git"
            shutil.copytree(template.path, path, symlinks=True)
            self.remotes[f"r{number}"] = Repository.at(path, template.clock + number)
        self.web = self.server()
        self.ssh = SshServer(self.folder / "sshd")
        self.addCleanup(self.ssh.close)
        self.trust()
        self.over_ssh = list(self.remotes)[:self.OVER_SSH]
        self.over_http = list(self.remotes)[self.OVER_SSH:]
        self.write("healthy.yaml", *(manifest(name, self.ssh.url(remote.path), secret="deploy") if name in self.over_ssh else
                                     manifest(name, f"{self.web.url}/{name}.git") for name, remote in self.remotes.items()))

    def trust(self, *ports):
        """The key for ssh, and what the host's own key is there, and at these ports."""
        own = (self.ssh.folder / "host_ed25519.pub").read_text()
        known = self.ssh.known_hosts() + "".join(f"[127.0.0.1]:{port} {own}" for port in ports)
        self.write("secret.yaml", secret("deploy", "kubernetes.io/ssh-auth", {"ssh-privatekey": self.ssh.key("ed25519"), "known_hosts": known}))

    def listings(self):
        """How often each remote over http was listed so far."""
        return collections.Counter(found[1] for line in self.web.requests() if (found := re.search(r'"POST /(r\d+)\.git/git-upload-pack', line)))

    def look(self, daemon, revision):
        """Seconds until a push to each remote over ssh and to as many over http is in the cache, the least listings of one over http within 40 s, and the most threads."""
        begun, most, since = time.monotonic(), 0, self.listings()
        pushed = self.over_ssh + self.over_http[:self.OVER_SSH]
        for name in pushed:
            self.remotes[name].publish("late", revision)
        pushed_at, seen_at = time.monotonic(), None
        while seen_at is None or time.monotonic() < begun + 40:
            most = max(most, threads(daemon))
            if seen_at is None and {f"{name}.late.v{revision}" for name in pushed} <= daemon.revisions().keys():
                seen_at = time.monotonic()
            self.assertLess(time.monotonic(), begun + 3 * LONG, "the pushes are not seen")
            time.sleep(0.5)
        now = self.listings()
        return seen_at - pushed_at, min(now[name] - since[name] for name in self.over_http), most

    def test_leave_the_lateness_of_others_and_the_threads_as_they_are(self):
        daemon = self.daemon("--health-check-frequency=10s", "--connect-timeout=2s", "--listing-timeout=10s")
        wait_for(lambda: daemon.metrics()['veranda_repositories_by_condition{ready="true"}'] == self.HEALTHY, "200 good repositories", 3 * LONG)
        before, listed_before, threads_before = self.look(daemon, 1)
        with contextlib.ExitStack() as stack:
            ports = []
            for _ in range(2 * self.HOLES):
                hole = stack.enter_context(contextlib.closing(socket.socket()))
                hole.bind(("127.0.0.1", 0))
                hole.listen(64)
                ports.append(hole.getsockname()[1])
            over_http, over_ssh = ports[:self.HOLES], ports[self.HOLES:]
            self.trust(*over_ssh)
            holes = [manifest(f"http-hole{number}", f"http://127.0.0.1:{port}/x.git") for number, port in enumerate(over_http)]
            holes += [manifest(f"ssh-hole{number}", f"ssh://git@127.0.0.1:{port}/x.git", secret="deploy") for number, port in enumerate(over_ssh)]
            self.write("holes.yaml", *holes)
            beside, listed_beside, threads_beside = self.look(daemon, 2)
            print(f"COUNT: pushes are seen after {before:.1f} s, and {beside:.1f} s beside {2 * self.HOLES} black holes; least listings {listed_before} and {listed_beside}, threads {threads_before} and {threads_beside}")
            self.assertLessEqual(threads_beside, threads_before)
            self.assertLess(beside, before + 10, "one health check later at most")
            self.assertGreaterEqual(listed_beside, listed_before - 1)

            def all_troubled():
                reasons = {r["metadata"]["name"]: (r.get("status", {}).get("conditions") or [{}])[0].get("reason") for r in daemon.items("repositories", "default")}
                return sum(reasons.get(name) in TROUBLED for name in reasons if "hole" in name) == 2 * self.HOLES
            wait_for(all_troubled, "50 black holes that are known as such", 2 * LONG, 0.5)
            self.assertFalse([r["metadata"]["name"] for r in daemon.items("repositories", "default")
                              if "hole" not in r["metadata"]["name"] and r["status"]["conditions"][0]["reason"] != "Ready"])
            daemon.stop()


class Breaker(Case):
    def test_a_host_that_is_down_is_tried_by_one_for_all(self):
        remote = self.repository("r")
        remote.publish("a/b", 1)
        port = free_port()
        names = [f"r{number}" for number in range(12)]
        for name in names:
            shutil.copytree(remote.path, self.git_root / f"{name}.git", symlinks=True)
        self.write("r.yaml", *(manifest(name, f"http://127.0.0.1:{port}/{name}.git") for name in names))
        self.write("local.yaml", manifest("local", remote.path))
        daemon = self.daemon("--health-check-frequency=1s")

        def unavailable():
            return [name for name in names if daemon.condition(name).get("reason") == "HostUnavailable"]
        wait_for(lambda: len(unavailable()) >= len(names) - 5, "objects that say HostUnavailable", 2 * LONG)
        message = wait_for(lambda: next((daemon.condition(name)["message"] for name in unavailable()), None), "a message")
        self.assertRegex(message, rf"^http://127\.0\.0\.1:{port} has not answered since \d{{4}}-.*no connection: refused.*\(host_unavailable\)")
        self.assertEqual(daemon.metrics()['veranda_hosts{state="unavailable"}'], 1)
        self.assertRegex(daemon.cli("dump"), rf"host +http://127\.0\.0\.1:{port} ")
        daemon.wait_condition("local", "Ready")
        listed = "veranda_remote_listings_total"
        count = lambda: sum(value for key, value in daemon.metrics().items() if key.startswith(listed) and 'result="failure"' in key)
        before = count()
        stays(lambda: count() - before <= 4, "few tries while the host is down", 10)
        server = self.server(port=port)
        self.addCleanup(server.close)

        def back():  # a try that began before the server may still be under way
            daemon.cli("sync", names[7], "--wait", status=None)
            return daemon.condition(names[7]).get("reason") == "Ready"
        wait_for(back, "the host to be found again", LONG, 1)
        daemon.cli("sync", "--all", status=None)
        for name in names:
            daemon.wait_condition(name, "Ready", seconds=2 * LONG)
        self.assertEqual(daemon.metrics()['veranda_hosts{state="unavailable"}'], 0)


class Drips(Case):
    """Hosts that list well, and then send a byte of their pack now and then."""
    HOSTS = 12

    def test_leave_workers_to_those_that_are_known_to_send(self):
        remote = self.repository("r")
        remote.publish("first", 1)
        self.write("healthy.yaml", manifest("r", f"{self.server().url}/r.git"))
        daemon = self.daemon("--health-check-frequency=2s")
        daemon.wait_condition("r", "Ready")

        def drip(out):
            out.begin(RESULT)
            out.send(packet("packfile\n"))
            out.trickle(on_band(1, good.pack) * 1_000, 1)
        good = honest()
        good.fetch = drip
        hosts = [HostileGit({"x": good}) for _ in range(self.HOSTS)]
        for host in hosts:
            self.addCleanup(host.close)
        self.write("drips.yaml", *(manifest(f"drip{number}", host.url("x")) for number, host in enumerate(hosts)))
        dripping = lambda: sum(what == "fetch" for host in hosts for _, what, _ in host.seen)
        wait_for(lambda: dripping() >= 2 and all(host.seen for host in hosts), "drips")
        for revision in (2, 3, 4):
            remote.publish("first", revision)
            wait_for(lambda: f"r.first.v{revision}" in daemon.revisions("r"), f"revision {revision}")
        self.assertEqual(dripping(), 2, "half of the workers")
        self.assertRegex(daemon.cli("explain", next(f"drip{n}" for n, host in enumerate(hosts) if all(what != "fetch" for _, what, _ in host.seen))), "few workers try such hosts")


class Budget(Case):
    def test_a_host_that_says_when_is_left_alone_by_all_until_then(self):
        limiter = Limiter(20)
        self.addCleanup(limiter.close)
        self.write("a.yaml", manifest("a", f"{limiter.url}/a.git"))
        daemon = self.daemon("--health-check-frequency=1s")
        told = time.monotonic()
        self.assertIn("(throttled)", daemon.wait_condition("a", "Error")["message"])
        self.write("b.yaml", manifest("b", f"{limiter.url}/b.git"))
        wait_for(lambda: "limits how often it is asked, and is left alone until" in daemon.cli("describe", "repository", "b", status=None), "why b waits")
        self.assertEqual(daemon.condition("b").get("reason"), "Reconciling")
        self.assertEqual(len(limiter.paths), 1)
        self.assertEqual(daemon.metrics()['veranda_hosts{state="paused"}'], 1)
        for name in ("a", "b"):
            wait_for(lambda n=name: "(not_found)" in daemon.condition(n).get("message", ""), f"an answer to {name}", 2 * LONG)
        self.assertGreater(time.monotonic() - told, 15)


if __name__ == "__main__":
    unittest.main()
