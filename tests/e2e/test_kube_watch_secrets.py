"""Secrets that are watched (--watch-secrets) on a real API server, with the account and the roles of the installation: rotated, deleted, not watched for a while, not
permitted, and that nothing is taken of those that no Repository names."""
import re
import time

from harness import faults
from harness.daemon import KubeDaemon
from harness.fault_proxy import FaultProxy
from harness.kube import CONFIG_API
from harness.wait import stays, wait_for

from test_kube_install import INSTALLATION, SYSTEM, overlay, rights, used
from test_kube_secrets import ONE, OTHER, SOON, TWO, Private
from test_kube_sync import EVERY

THREE = "pa55-third-word"
COMPONENT = INSTALLATION / "watchsecrets"
BINDING = "clusterrolebinding/verandad-watchsecrets"


def writable(pid):
    """What a process has in memory that it could write, region by region; without those that are only reserved."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            begin, end = int(begin, 16), int(end, 16)
            if rights.startswith("rw") and end - begin <= 256 << 20 and "[v" not in line:
                try:
                    memory.seek(begin)
                    yield memory.read(end - begin)
                except OSError:
                    pass


class Watched(Private):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not cls.absent:
            cls.cluster.kubectl("apply", "-k", INSTALLATION)

    def setUp(self):
        super().setUp()
        self.cluster.kubectl("apply", "-f", COMPONENT / "rbac.yaml")
        self.proxy = FaultProxy.before(self.cluster)
        self.addCleanup(self.proxy.close)
        self.addCleanup(self.cluster.release, CONFIG_API, "repositories", self.namespace)
        self.addCleanup(self.cluster.kubectl, "delete", "repositories", "--all", "-n", self.namespace, "--wait=false")

    def start(self, *flags):
        account = self.cluster.in_cluster("verandad", SYSTEM)
        config = self.cluster.kubeconfig("verandad", {"tokenFile": str(account / "token")}, server=self.proxy.url, namespace=SYSTEM)
        daemon = KubeDaemon(config, self.data, *EVERY, "--watch-secrets", *flags)
        self.addCleanup(daemon.kill)
        return daemon

    def line(self, daemon, text, seconds=SOON):
        """Of the readiness."""
        return wait_for(lambda: next((line for line in daemon.http("/readyz?verbose")[1].splitlines() if text in line), None), text, seconds, 0.1)

    def private_repository(self, daemon):
        self.good()
        self.apply()
        self.wait_reason("Ready")
        self.line(daemon, "[+]watch of Secrets ok")
        wait_for(lambda: self.proxy.requests("GET", "/secrets", watch=True), "the watch")

    def rotate(self, word):
        """Of both sides, the server first, so that a sync fails for want of it. Answers how long it took from then until it was used."""
        self.private.set_users({"robot": word})
        self.sync()
        self.message("(auth_rejected)")
        self.good(word)
        begun = time.monotonic()
        self.wait_reason("Ready", seconds=SOON)
        return time.monotonic() - begun

    def gets(self):
        return self.proxy.requests("GET", "/secrets/")


class Life(Watched):
    def test_one_that_changes_is_used_at_once_and_nothing_is_polled(self):
        daemon = self.start()
        self.private_repository(daemon)
        self.assertLess(min(self.rotate(word) for word in (TWO, THREE, ONE)), 5)
        # Nothing is asked for while nothing changes; a missing one is not, either.
        self.cluster.expect("DELETE", f"{self.secrets}/git")
        self.message("(dependency_missing)")  # nobody asked for this sync: the deletion did
        time.sleep(6)
        self.proxy.forget()
        stays(lambda: not self.proxy.requests("GET", "/secrets"), "nothing is asked for", 21)
        self.good()
        self.wait_reason("Ready", seconds=SOON)
        self.assertLessEqual(len(self.gets()), 3)
        self.assert_untold(daemon, ONE, TWO, THREE)
        self.assertEqual(daemon.stop(), 0)

    def test_its_role_is_enough_and_used(self):
        daemon = self.start()
        self.private_repository(daemon)
        self.assertEqual([r for r in self.proxy.requests() if r.status in (401, 403)], [], daemon.log()[-3000:])
        rules = [rule for name in ("verandad", "verandad-watchsecrets")
                 for rule in self.cluster.expect("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}")["rules"] if "secrets" in rule["resources"]]
        self.assertEqual({used(r) for r in self.proxy.requests(path="/secrets")}, rights(rules))
        self.assertEqual(daemon.stop(), 0)

    def test_of_secrets_that_no_repository_names_nothing_is_taken(self):
        def strange(name, namespace):
            self.cluster.expect("POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": name}, "type": "Opaque", "stringData": {"bearerToken": OTHER}})
        strange("before", self.namespace)
        strange(f"before-{self.namespace}", "default")
        daemon = self.start()
        self.private_repository(daemon)
        strange("after", self.namespace)
        strange(f"after-{self.namespace}", "default")
        self.rotate(TWO)  # events are told in order
        self.assertEqual({r.path for r in self.gets()}, {f"{self.secrets}/git"})
        self.assert_untold(daemon, ONE, TWO, OTHER)
        memory = list(writable(daemon.process.pid))
        self.assertTrue(any(TWO.encode() in region for region in memory), "the one in use is found there")
        self.assertFalse(any(OTHER.encode() in region for region in memory))
        # Without a Repository that names one there is no watch.
        self.cluster.kubectl("delete", "repository", "r", "-n", self.namespace, "--timeout=120s")
        wait_for(lambda: '"not needed"' in daemon.http("/dump")[1], "the end of the watch", SOON, 0.2)
        self.assertEqual(daemon.stop(), 0)

    def test_namespaces_that_are_named_have_a_watch_each(self):
        daemon = self.start("--namespace", self.namespace)
        self.private_repository(daemon)
        self.assertEqual({r.path for r in self.proxy.requests("GET", r"/secrets\?")}, {self.secrets})
        self.rotate(TWO)
        self.assertEqual(daemon.stop(), 0)


class Trouble(Watched):
    def test_a_watch_that_is_cut_goes_on(self):
        daemon = self.start()
        self.private_repository(daemon)
        self.proxy.cut()
        self.rotate(TWO)
        fault = self.proxy.add(faults.Fault("no watch", path="/secrets", watch=True, refuse=True))
        self.proxy.cut()
        self.line(daemon, "[!]watch of Secrets: ")
        self.rotate(THREE)  # as without a watch
        self.proxy.remove(fault)
        self.line(daemon, "[+]watch of Secrets ok")
        self.proxy.forget()
        self.rotate(ONE)
        self.assertEqual(daemon.http("/readyz")[0], 200)
        self.assertEqual(daemon.stop(), 0)

    def test_a_right_that_is_missing_is_named_once_and_heals(self):
        self.cluster.kubectl("delete", BINDING)
        daemon = self.start()
        self.good()
        self.apply()
        self.wait_reason("Ready")
        self.assertIn("grant list and watch on secrets", self.line(daemon, "[!]watch of Secrets: "))
        self.rotate(TWO)
        tries = len(self.proxy.requests("GET", r"/secrets\?"))
        wait_for(lambda: len(self.proxy.requests("GET", r"/secrets\?")) > tries, "another try", SOON)
        said = [line for line in daemon.log().splitlines() if "Secrets cannot be watched" in line]
        self.assertEqual(len(said), 1, daemon.log()[-4000:])
        self.cluster.kubectl("apply", "-f", COMPONENT / "rbac.yaml")
        self.line(daemon, "[+]watch of Secrets ok")
        self.rotate(ONE)
        self.assert_untold(daemon, ONE, TWO)
        self.assertEqual(daemon.stop(), 0)


class Component(Watched):
    def test_it_builds_on_the_installation_alone_and_with_others_in_any_order(self):
        for components in (["watchsecrets"], ["packagerevs", "watchsecrets"], ["replicas", "watchsecrets"], ["watchsecrets", "replicas", "metrics"]):
            with self.subTest(components=components):
                documents = self.cluster.kubectl("kustomize", overlay(self.folder / "-".join(components), *components)).split("\n---\n")
                workload = next(d for d in documents if re.search(r"(?m)^kind: (Deployment|StatefulSet)$", d))
                self.assertIn('- name: VERANDAD_WATCH_SECRETS\n          value: "true"\n', workload)
                self.assertEqual("VERANDAD_LEADER_ELECT" in workload, "replicas" in components)
                self.cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=workload)
