"""Two replicas of the daemon on a real API server: one leads by a Lease, the other stands by and takes over; whoever cannot be sure to lead ends at once."""
import json
import re
import signal
import time

from harness import faults
from harness.daemon import KubeDaemon, verandad
from harness.fault_proxy import FaultProxy
from harness.wait import stays, wait_for

from test_kube_sync import EVERY, Synced

NOT_LEADING = 75  # exit status
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
SLOW = ("--lease-duration", "120s", "--lease-renew-deadline", "100s")  # whoever takes over within this was let
WIDE = ("--lease-duration", "60s", "--lease-renew-deadline", "20s")  # time to see that one has ended and the other does not lead yet
LONG = 180


class Replica(KubeDaemon):
    """A daemon whose requests all go through a proxy of its own."""

    def __init__(self, case, name, *flags, wait=True):
        self.proxy = FaultProxy.before(case.cluster)
        case.addCleanup(self.proxy.close)
        config = case.cluster.kubeconfig(server=self.proxy.url, namespace=case.namespace)
        super().__init__(config, case.folder / name, *EVERY, "--namespace", case.namespace, "--leader-elect", *flags, wait=wait)
        case.addCleanup(self.kill)

    def leads(self):
        return self.metrics()["veranda_leader"] == 1

    def readiness(self):
        return self.http("/readyz?verbose")[1]

    def identity(self):
        cell = next(a for a in self.dump()["actors"] if a["kind"] == "lease-keeper")
        return cell["details"]["identity"]

    def dump(self):
        return json.loads(self.http("/dump")[1])

    def writes(self):
        return [r for r in self.proxy.requests() if r.method != "GET"]

    def wait_end(self, seconds=LONG):
        wait_for(lambda: self.process.poll() is not None, f"the end of the daemon\n{self.log()[-3000:]}", seconds)
        return self.process.returncode


class Replicas(Synced):
    def replica(self, name, *flags, wait=True):
        return Replica(self, name, *flags, wait=wait)

    def lease(self):
        return self.cluster.expect("GET", LEASES.format(self.namespace) + "/veranda")["spec"]

    def pair(self, *flags):
        """A leader that has synced, and one that stands by."""
        leader = self.replica("a", *flags)
        self.wait_leads(leader)
        self.cluster.apply(self.manifest())
        self.wait_reason("Ready")
        standby = self.replica("b", *flags)
        wait_for(lambda: f"standby; {leader.identity()} leads" in standby.readiness(), "the other to stand by")
        self.assertTrue(leader.leads())
        self.assertFalse(standby.leads())
        return leader, standby

    def wait_leads(self, daemon):
        """Answers how long it took."""
        begun = time.monotonic()
        wait_for(daemon.leads, f"leadership\n{daemon.log()[-3000:]}", LONG)
        return time.monotonic() - begun

    def check_all_well(self, daemon):
        """What changes is synced and said."""
        self.git.publish("more", "v1")
        self.cluster.apply(self.manifest("late"))
        self.wait_reason("Ready", "late", LONG)
        self.cluster.patch(f"{self.repositories}/r", {"metadata": {"annotations": {"veranda.dev/sync-requested-at": "2026-01-01T00:00:00Z"}}})
        wait_for(lambda: self.get().get("status", {}).get("packageCount") == self.get("late")["status"]["packageCount"], "the new package to be said", LONG)
        self.assertEqual(self.wait_reason("Ready")["status"]["gitCommitHash"], self.git.resolve("main"))
        wait_for(lambda: daemon.http("/readyz")[0] == 200, "readiness", LONG)

    def test_one_leads_and_the_other_writes_nothing(self):
        leader, standby = self.pair()
        self.assertIn("[+]leader election: this process leads\n", leader.readiness())
        self.assertIn(f"[+]leader election: standby; {leader.identity()} leads\n", standby.readiness())
        lease = self.lease()
        self.assertEqual((lease["holderIdentity"], lease["leaseDurationSeconds"], lease["leaseTransitions"]), (leader.identity(), 15, 0))
        for name in ("acquireTime", "renewTime"):
            self.assertRegex(lease[name], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        wait_for(lambda: self.lease()["renewTime"] > lease["renewTime"], "a renewal")
        self.assertEqual(self.lease()["acquireTime"], lease["acquireTime"])
        # Something to do, and it is done by one alone.
        self.check_all_well(leader)
        self.assertEqual(standby.writes(), [])
        self.assertEqual({r.path for r in standby.proxy.requests()}, {LEASES.format(self.namespace) + "/veranda"})
        self.assertEqual(standby.items("packagerevisions", self.namespace), [])
        self.assertIn("veranda_leader 0\n", standby.http("/metrics")[1])
        self.assertEqual(standby.stop(), 0)
        self.assertEqual(self.lease()["holderIdentity"], leader.identity())
        self.assertEqual(leader.stop(), 0)
        self.assertEqual(self.lease()["holderIdentity"], "")

    def test_the_leader_is_killed(self):
        leader, standby = self.pair()
        leader.kill()
        self.check_took(self.wait_leads(standby), 60)
        self.assertEqual(self.lease()["leaseTransitions"], 1)
        self.check_all_well(standby)
        # It comes back, on the volume that it had, and stands by.
        again = self.replica("a")
        self.assertFalse(again.leads())
        self.assertEqual(again.writes(), [])

    def check_took(self, seconds, most):
        print(f"[{self.id().rsplit('.', 1)[-1]}: {seconds:.1f} s]", end=" ", flush=True)
        self.assertLess(seconds, most)

    def test_the_leader_is_told_to_end(self):
        leader, standby = self.pair(*SLOW)
        self.assertEqual(leader.stop(), 0)
        self.check_took(self.wait_leads(standby), 60)
        self.check_all_well(standby)

    def test_a_leader_that_slept_ends_at_once_and_writes_nothing(self):
        leader, standby = self.pair()
        for n in range(20):
            self.cluster.apply(self.manifest(f"many{n}"))
        wait_for(lambda: leader.proxy.requests("PATCH", "/many"), "the leader at work")
        leader.process.send_signal(signal.SIGSTOP)
        self.wait_leads(standby)
        for n in range(20):
            self.wait_reason("Ready", f"many{n}", LONG)
        before = len(leader.writes())
        leader.process.send_signal(signal.SIGCONT)
        begun = time.monotonic()
        self.assertEqual(leader.wait_end(), NOT_LEADING, leader.log()[-3000:])
        self.check_took(time.monotonic() - begun, 30)
        self.assertEqual(leader.writes()[before:], [])
        self.assertEqual(len(re.findall("this process leads no more and ends at once", leader.log())), 1, leader.log()[-3000:])
        self.assertEqual(self.lease()["holderIdentity"], standby.identity())
        self.check_all_well(standby)

    def test_a_leader_that_is_cut_off_ends_before_the_other_leads(self):
        leader, standby = self.pair(*WIDE)
        leader.proxy.stall()
        begun = time.monotonic()
        self.assertEqual(leader.wait_end(), NOT_LEADING, leader.log()[-3000:])
        self.check_took(time.monotonic() - begun, 60)
        self.assertFalse(standby.leads())
        self.assertRegex(leader.log(), r"this process leads no more and ends at once.*it (could not be renewed for 20s|was not renewed in time)")
        self.wait_leads(standby)
        self.check_all_well(standby)

    def test_a_leader_that_is_cut_off_while_it_ends_anyway(self):
        """A status that cannot be written keeps it for five seconds; its Lease runs out before."""
        leader = self.replica("a", "--lease-duration", "8s", "--lease-renew-deadline", "4s", "--lease-retry-period", "1s")
        self.wait_leads(leader)
        leader.proxy.add(faults.server_error(path="/status", method="PATCH"))
        self.cluster.apply(self.manifest())
        wait_for(lambda: leader.proxy.requests("PATCH", "/status"), "a status to be refused")
        leader.proxy.stall()
        self.assertEqual(leader.stop(), 0, leader.log()[-3000:])
        self.assertIn("the Lease ran out before everything had ended in order", leader.log())
        self.assertNotEqual(self.lease()["holderIdentity"], "", "it could not be given back")

    def test_a_leader_whose_connections_are_cut(self):
        leader, standby = self.pair(*WIDE)
        leader.proxy.add(faults.Fault("cut", refuse=True))
        leader.proxy.cut()
        self.assertEqual(leader.wait_end(), NOT_LEADING, leader.log()[-3000:])
        self.assertFalse(standby.leads())
        self.wait_leads(standby)
        self.check_all_well(standby)

    def test_a_short_outage_changes_nothing(self):
        leader, standby = self.pair(*SLOW)
        leader.proxy.stall()
        stays(leader.leads, "one that leads is not shaken by a stall", 4)
        leader.proxy.cut()
        leader.proxy.flow()
        seen = self.lease()["renewTime"]
        wait_for(lambda: self.lease()["renewTime"] > seen, "a renewal")
        self.assertTrue(leader.leads())
        self.assertEqual(self.lease()["leaseTransitions"], 0)
        self.check_all_well(leader)
        self.assertEqual(standby.writes(), [])

    def test_the_lease_is_deleted_or_given_away(self):
        leader, standby = self.pair()
        path = LEASES.format(self.namespace) + "/veranda"
        uid = self.cluster.expect("GET", path)["metadata"]["uid"]
        self.cluster.expect("DELETE", path)
        wait_for(lambda: self.cluster.request("GET", path)[0] == 200, "a new Lease")
        made = self.cluster.expect("GET", path)
        self.assertNotEqual(made["metadata"]["uid"], uid)
        self.assertEqual(made["spec"]["holderIdentity"], leader.identity())
        self.assertTrue(leader.leads())
        self.cluster.patch(path, {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": None}})
        self.assertEqual(leader.wait_end(), NOT_LEADING, leader.log()[-3000:])
        self.assertIn("it was taken by somebody", leader.log())
        self.wait_leads(standby)
        self.assertEqual(self.lease()["leaseDurationSeconds"], 15)

    def test_without_the_right_it_says_so_and_heals(self):
        roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}"
        token = self.cluster.account_token("replica", self.namespace)
        rules = [{"apiGroups": ["config.porch.kpt.dev"], "resources": ["repositories", "repositories/status"], "verbs": ["get", "list", "watch", "patch"]},
                 {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}]
        self.cluster.expect("POST", f"{roles}/roles", {"metadata": {"name": "replica"}, "rules": rules})
        self.cluster.expect("POST", f"{roles}/rolebindings", {"metadata": {"name": "replica"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "replica"},
                                                              "subjects": [{"kind": "ServiceAccount", "name": "replica", "namespace": self.namespace}]})
        config = self.cluster.kubeconfig("replica", {"token": token}, namespace=self.namespace)
        daemon = KubeDaemon(config, self.data, *EVERY, "--namespace", self.namespace, "--leader-elect", wait=False)
        self.addCleanup(daemon.kill)
        daemon.wait_listening()
        line = f"grant get, create and update on leases.coordination.k8s.io in namespace {self.namespace}"
        wait_for(lambda: re.search(r"\[-\]leader election: standby; .*" + re.escape(line), daemon.http("/readyz?verbose")[1]), "the missing right to be named")
        self.assertEqual(daemon.http("/readyz")[0], 503)
        stays(lambda: daemon.log().count(line) == 1, "what is missing is said once", 10)
        lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}
        self.cluster.patch(f"{roles}/roles/replica", {"rules": [*rules, lease]})
        wait_for(lambda: "[+]leader election: this process leads\n" in daemon.http("/readyz?verbose")[1], "the lease to be taken")
        daemon.wait_ready()
        self.assertEqual(daemon.stop(), 0)

    def test_settings_that_could_not_work_are_refused(self):
        done = verandad("--kubernetes", "--leader-elect", "--lease-renew-deadline", "20s", "--data-dir", self.data)
        self.assertEqual(done.returncode, 2)
        self.assertIn("lease-duration (15s) is longer than lease-renew-deadline (20s)", done.stderr)
