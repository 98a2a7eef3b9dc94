"""The API server of the tests itself: users, restarts, outdated positions, a restored backup, the end of namespaces."""
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

from harness import faults
from harness.fault_proxy import FaultProxy
from harness.kube import CONFIG_API, KubeCase, binaries
from harness.wait import accepts, wait_for

from test_kube_crd import repository


class Server(KubeCase):
    users = {"somebody": []}

    def create(self, name):
        return self.cluster.expect("POST", self.repositories, repository(name))

    def version(self):
        return self.cluster.expect("GET", self.repositories)["metadata"]["resourceVersion"]

    def test_who_may_what(self):
        ask = lambda **who: self.cluster.request("GET", self.repositories, **who)[0]
        self.assertEqual((ask(), ask(user="somebody"), ask(token="wrong")), (200, 403, 401))
        account = self.cluster.account_token("robot", self.namespace)
        self.assertEqual(ask(token=account), 403)
        self.cluster.kubectl("create", "role", "reader", "--verb=list", "--resource=repositories.config.porch.kpt.dev", "-n", self.namespace)
        self.cluster.kubectl("create", "rolebinding", "reader", "--role=reader", "--user=somebody", f"--serviceaccount={self.namespace}:robot", "-n", self.namespace)
        wait_for(lambda: (ask(user="somebody"), ask(token=account)) == (200, 200), "the granted role")
        self.assertEqual(self.cluster.kubectl("get", "repositories", "-n", self.namespace, user="somebody"), "")
        certificate, key = self.cluster.client_certificate("admin2", ["system:masters"])
        config = self.cluster.kubeconfig("admin2", {"client-certificate": str(certificate), "client-key": str(key)})
        self.assertIn("admin2", self.cluster.kubectl("auth", "whoami", "--kubeconfig", config))
        self.cluster.expect("DELETE", f"/api/v1/namespaces/{self.namespace}/serviceaccounts/robot")
        wait_for(lambda: ask(token=account) == 401, "the end of the token", pause=0.2)
        self.assertEqual(sorted(p.name for p in self.cluster.in_cluster("robot", self.namespace).iterdir()), ["ca.crt", "namespace", "token"])

    def test_a_restart_outdates_positions(self):
        old = self.version()
        self.create("a")
        self.create("b")
        first = next(self.cluster.watch(self.repositories, resourceVersion=old))
        self.assertEqual((first["type"], first["object"]["metadata"]["name"]), ("ADDED", "a"))
        self.cluster.restart()
        first = next(self.cluster.watch(self.repositories, resourceVersion=old))
        self.assertEqual((first["type"], first["object"]["code"]), ("ERROR", 410))
        new = self.version()
        self.cluster.expect("DELETE", f"{self.repositories}/a")
        first = next(self.cluster.watch(self.repositories, resourceVersion=new))
        self.assertEqual((first["type"], first["object"]["metadata"]["name"]), ("DELETED", "a"))

    def test_a_killed_server_is_gone_at_once(self):
        self.create("a")
        self.cluster.kill()
        self.assertFalse(accepts(self.cluster.port))
        self.cluster.start()
        self.assertEqual(self.cluster.expect("GET", f"{self.repositories}/a")["spec"]["git"]["branch"], "main")

    def test_a_restored_backup_goes_back_in_time(self):
        self.create("a")
        copy, before = self.cluster.backup(), int(self.version())
        for n in range(20):
            self.create(f"b{n}")
        self.assertGreater(int(self.version()), before + 19)
        self.cluster.restore(copy)
        self.assertLess(int(self.version()), before + 19)
        self.assertEqual([r["metadata"]["name"] for r in self.cluster.expect("GET", self.repositories)["items"]], ["a"])
        # A watch from a position of the lost future hears nothing and is told nothing; a list not older than that position is.
        future = str(before + 1000)
        deaf = self.cluster.watch(self.repositories, resourceVersion=future, timeoutSeconds=2)
        self.create("c")
        self.assertEqual(list(deaf), [])
        status, answer = self.cluster.request("GET", f"{self.repositories}?limit=1&resourceVersion={future}")
        self.assertEqual((status, answer["details"]["causes"][0]["reason"]), (504, "ResourceVersionTooLarge"))

    def test_a_namespace_is_finished(self):
        self.create("a")
        self.cluster.patch(f"{self.repositories}/a", {"metadata": {"finalizers": ["config.porch.kpt.dev/repository"]}})
        self.cluster.expect("DELETE", f"/api/v1/namespaces/{self.namespace}")
        self.assertEqual(self.cluster.request("POST", self.repositories, repository("late"))[0], 403)
        with self.assertRaisesRegex(AssertionError, "an empty namespace"):
            self.cluster.finish_namespace(self.namespace, 3)
        self.cluster.release(CONFIG_API, "repositories", self.namespace)
        self.cluster.finish_namespace(self.namespace)
        self.assertEqual(self.cluster.request("GET", f"/api/v1/namespaces/{self.namespace}")[0], 404)

    def test_through_a_fault_proxy(self):
        proxy = FaultProxy.before(self.cluster)
        self.addCleanup(proxy.close)
        config = self.cluster.kubeconfig(server=proxy.url)
        self.create("a")
        proxy.add(faults.too_many_requests(path="/repositories", times=1))
        self.assertIn("repository.config.porch.kpt.dev/a", self.cluster.kubectl("get", "repositories", "-o", "name", "-n", self.namespace, "--kubeconfig", config))
        self.assertEqual([r.status for r in proxy.requests(path="/repositories")], [429, 200])
        proxy.add(faults.Fault("duplicate", watch=True, edit=faults.duplicate))
        seen = []
        watcher = threading.Thread(target=lambda: seen.append(self.cluster.run_kubectl(
            "get", "repositories", "-w", "-o", "name", "--output-watch-events", "-n", self.namespace, "--kubeconfig", config).stdout))
        watcher.start()
        wait_for(lambda: proxy.watches == 1, "the watch")
        self.create("b")
        wait_for(lambda: proxy.events == 2, "the event, twice")
        self.assertEqual(len(proxy.requests(watch=True)), 1)
        proxy.cut()
        watcher.join(300)
        self.assertEqual(seen[0].count("repository.config.porch.kpt.dev/b"), 2, seen)


    def test_many_requests(self):
        made = self.cluster.expect_all("POST", [(self.repositories, repository(f"r{n}")) for n in range(300)])
        self.assertEqual([r["metadata"]["name"] for r in made], [f"r{n}" for n in range(300)])
        self.assertEqual(len(self.cluster.expect("GET", self.repositories)["items"]), 300)
        with self.assertRaisesRegex(AssertionError, "AlreadyExists"):
            self.cluster.expect_all("POST", [(self.repositories, repository("r1"))])
        self.cluster.expect_all("DELETE", [(f"{self.repositories}/r{n}", None) for n in range(300)])
        self.assertEqual(self.cluster.expect("GET", self.repositories)["items"], [])


class End(unittest.TestCase):
    def test_the_servers_end_with_their_test_whatever_ends_it(self):
        binaries()
        program = ("import sys, time; sys.path.insert(0, sys.argv[1]); from harness.kube import Cluster\n"
                   "cluster = Cluster(sys.argv[2]); print(cluster.port, cluster.etcd_port, flush=True); time.sleep(300)")
        with tempfile.TemporaryDirectory(prefix="veranda-kube-") as folder:
            test = subprocess.Popen([sys.executable, "-c", program, str(pathlib.Path(__file__).parent), folder], stdout=subprocess.PIPE, text=True)
            try:
                ports = [int(port) for port in test.stdout.readline().split()]
                self.assertEqual([accepts(port) for port in ports], [True, True])
            finally:
                test.kill()
                test.communicate()
            wait_for(lambda: not any(accepts(port) for port in ports), "the end of both")


class Uncached(KubeCase):
    options = {"watch_cache": False}

    def test_compaction_outdates_positions(self):
        old = self.cluster.expect("GET", self.repositories)["metadata"]["resourceVersion"]
        self.cluster.expect("POST", self.repositories, repository("a"))
        self.cluster.expect("POST", self.repositories, repository("b"))
        self.assertEqual(next(self.cluster.watch(self.repositories, resourceVersion=old))["type"], "ADDED")
        page = self.cluster.expect("GET", self.repositories + "?limit=1")
        self.cluster.expect("POST", self.repositories, repository("c"))
        self.cluster.compact()
        first = next(self.cluster.watch(self.repositories, resourceVersion=old))
        self.assertEqual((first["type"], first["object"]["code"]), ("ERROR", 410))
        status, answer = self.cluster.request("GET", f"{self.repositories}?limit=1&continue={page['metadata']['continue']}")
        self.assertEqual((status, answer["reason"]), (410, "Expired"))
