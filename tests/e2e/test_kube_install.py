"""The installation in config/kubernetes on a real API server: what it makes, and that the daemon needs every right it is given and no other."""
import base64
import json
import os
import re

from harness import ROOT, faults
from harness.daemon import KubeDaemon, verandad
from harness.fault_proxy import FaultProxy
from harness.kube import CONFIG_API, CRDS, KubeCase
from harness.wait import wait_for

from test_kube_sync import EVERY

INSTALLATION = ROOT / "config/kubernetes"
SYSTEM = "veranda-system"
CONFLICT = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "message": "the object has been modified", "code": 409})
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/verandad"
VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


def used(request):
    """The right that a request needs: group, resource with its subresource, verb."""
    path = re.fullmatch(r"/(?:api/v1|apis/([^/]+)/[^/]+)(?:/namespaces/[^/]+)?/([^/]+)(?:/([^/]+))?(?:/([^/]+))?", request.path)
    group, resource, name, part = path.groups()
    verb = VERBS.get(request.method) or ("watch" if request.watch else "get" if name else "list")
    return group or "", f"{resource}/{part}" if part else resource, verb


def rights(rules):
    """What the rules of a role permit, as `used` says it."""
    return {(group, resource, verb) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}


def overlay(folder, *components):
    """Makes a folder for kustomize: the installation with components."""
    folder.mkdir()
    base, *others = (os.path.relpath(path, folder) for path in (INSTALLATION, *(INSTALLATION / name for name in components)))
    (folder / "kustomization.yaml").write_text(json.dumps({"resources": [base], "components": others}))
    return folder


class Installation(KubeCase):
    crds = (CRDS / "packagerevs.yaml",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if cls.absent:
            return
        cls.said = cls.cluster.kubectl("apply", "-k", INSTALLATION)
        cls.cluster.kubectl("wait", "--for=condition=Established", "crd/repositories.config.porch.kpt.dev", "--timeout=60s")

    def setUp(self):
        super().setUp()
        self.git = self.repository("r")
        self.git.publish("one", "v1")
        self.url = self.server().url + "/r.git"

    def start(self, *flags, wait=True):
        """The daemon with the token of the installed service account, as the kubelet would mount it; all that it asks goes through a proxy that writes it down."""
        self.account = self.cluster.in_cluster("verandad", SYSTEM)
        self.proxy = FaultProxy.before(self.cluster)
        self.addCleanup(self.proxy.close)
        config = self.cluster.kubeconfig("verandad", {"tokenFile": str(self.account / "token")}, server=self.proxy.url, namespace=SYSTEM)
        daemon = KubeDaemon(config, self.data, *EVERY, *flags, wait=wait)
        self.addCleanup(daemon.kill)
        return daemon

    def apply(self, name, url="", **more):
        self.addCleanup(self.cluster.release, CONFIG_API, "repositories", self.namespace)
        self.addCleanup(self.cluster.request, "DELETE", f"{self.repositories}/{name}")
        self.cluster.apply({"apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository", "metadata": {"name": name, "namespace": self.namespace},
                            "spec": {"type": "git", "git": {"repo": url or self.url, "branch": "main", **more}}})

    def ready(self, name):
        found = self.cluster.expect("GET", f"{self.repositories}/{name}")
        conditions = found.get("status", {}).get("conditions", [])
        return conditions and (conditions[0]["type"], conditions[0]["status"]) == ("Ready", "True") and conditions[0]["observedGeneration"] >= found["metadata"]["generation"]

    def branch(self, name, branch):
        self.cluster.patch(f"{self.repositories}/{name}", {"spec": {"git": {"branch": branch}}})

    def grant(self, rules):
        self.cluster.patch(ROLE, {"rules": rules})

    def test_it_is_made_and_again_changes_nothing(self):
        for made in ("namespace/veranda-system", "serviceaccount/verandad", "clusterrole.rbac.authorization.k8s.io/verandad",
                     "clusterrolebinding.rbac.authorization.k8s.io/verandad", "deployment.apps/verandad", "persistentvolumeclaim/verandad",
                     "networkpolicy.networking.k8s.io/verandad", "customresourcedefinition.apiextensions.k8s.io/repositories.config.porch.kpt.dev"):
            self.assertIn(f"{made} created\n", self.said)
        again = self.cluster.kubectl("apply", "-k", INSTALLATION).splitlines()
        self.assertEqual([line for line in again if not line.endswith(" unchanged") and "customresourcedefinition" not in line], [])
        self.cluster.kubectl("apply", "-k", INSTALLATION, "--server-side", "--dry-run=server", "--force-conflicts")

    def test_pods_of_the_deployment_pass_the_restricted_standard(self):
        template = self.cluster.expect("GET", f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/verandad")["spec"]["template"]
        pods = f"/api/v1/namespaces/{SYSTEM}/pods?dryRun=All"
        pod = {"metadata": {"generateName": "verandad-", **template["metadata"]}, "spec": template["spec"]}
        self.cluster.expect("POST", pods, pod)
        del pod["spec"]["securityContext"]["runAsNonRoot"]
        status, answer = self.cluster.request("POST", pods, pod)
        self.assertEqual((status, "restricted" in answer["message"]), (403, True), answer)

    def test_flags_of_the_deployment_are_flags_of_the_daemon(self):
        container = self.cluster.expect("GET", f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/verandad")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["args"][0], "--kubernetes")
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
        kubeconfig = self.cluster.kubeconfig("verandad", {"token": self.cluster.account_token("verandad", SYSTEM)})
        flags = [argument.replace("/var/lib/veranda/data", str(self.data)) for argument in container["args"]]
        daemon = KubeDaemon(kubeconfig, self.data, *flags)
        self.addCleanup(daemon.kill)
        self.assertEqual(json.loads(daemon.log().splitlines()[0])["level"], "info", daemon.log())
        self.assertEqual(daemon.stop(), 0)

    def build(self, *components):
        """The documents of the installation with some components; the API server takes each of them."""
        documents = self.cluster.kubectl("kustomize", overlay(self.folder / "-".join(components), *components)).split("\n---\n")
        for document in documents:
            if not re.search(r"(?m)^kind: (ServiceMonitor|PrometheusRule)$", document):  # of an operator that is not here
                self.cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=document)
        return documents

    def test_the_replicas_component_builds_on_it_with_metrics_or_without(self):
        for components in (("replicas",), ("replicas", "metrics")):
            with self.subTest(components=components):
                documents = self.build(*components)
                kinds = [re.search(r"(?m)^kind: (.*)$", document).group(1) for document in documents]
                self.assertEqual({kinds.count(kind) for kind in ("StatefulSet", "PodDisruptionBudget", "Role", "RoleBinding")}, {1})
                self.assertEqual({kind for kind in kinds if kind in ("Deployment", "PersistentVolumeClaim")}, set())
                made = json.loads(self.cluster.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", input=documents[kinds.index("StatefulSet")]))["spec"]
                container = made["template"]["spec"]["containers"][0]
                self.assertEqual((made["replicas"], made["podManagementPolicy"], container["env"]), (2, "Parallel", [{"name": "VERANDAD_LEADER_ELECT", "value": "true"}]))
                self.assertEqual([claim["metadata"]["name"] for claim in made["volumeClaimTemplates"]], ["data"])
                self.assertEqual([v["name"] for v in made["template"]["spec"].get("volumes", [])], ["tls"] if "metrics" in components else [])
                # The claims' volumes, as the controller adds them.
                spec = made["template"]["spec"] | {"volumes": [*made["template"]["spec"].get("volumes", []), {"name": "data", "emptyDir": {}}]}
                self.cluster.expect("POST", f"/api/v1/namespaces/{SYSTEM}/pods?dryRun=All", {"metadata": {"generateName": "verandad-", **made["template"]["metadata"]}, "spec": spec})
        # The variable is one that the daemon knows.
        done = verandad("--kubernetes", "--once", "--data-dir", self.data, VERANDAD_LEADER_ELECT="true")
        self.assertEqual((done.returncode, "VERANDAD_LEADER_ELECT: has no meaning with once" in done.stderr), (2, True), done.stderr)

    def test_every_right_of_a_replica_is_enough_and_used(self):
        for document in self.build("replicas"):
            if re.search(r"(?m)^kind: Role(Binding)?$", document):
                self.cluster.kubectl("apply", "-f", "-", input=document)
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM}/roles/verandad-leader"
        granted = rights(self.cluster.expect("GET", path)["rules"])
        daemon = self.start("--leader-elect")
        self.apply("r")
        wait_for(lambda: self.ready("r"), "Ready", 120)
        self.assertEqual(daemon.stop(), 0)
        lease = self.cluster.expect("GET", f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/veranda")
        self.assertEqual(lease["spec"]["holderIdentity"], "")
        self.assertEqual([r for r in self.proxy.requests() if r.status in (401, 403)], [], daemon.log()[-3000:])
        self.assertEqual({used(r) for r in self.proxy.requests(path="coordination.k8s.io")}, granted)

    def test_the_metrics_component_builds_on_it(self):
        documents = self.build("metrics")
        deployment = next(d for d in documents if "\nkind: Deployment\n" in d)
        self.assertEqual(deployment.count("- https://127.0.0.1:7878/"), 3)
        self.assertNotIn("http://", deployment)

    def test_the_metrics_component_comes_and_goes_however_it_is_applied(self):
        pick = lambda documents: next(d for d in documents if "\nkind: Deployment\n" in d)
        plain, metrics = pick(self.cluster.kubectl("kustomize", INSTALLATION).split("\n---\n")), pick(self.build("metrics"))
        path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/verandad"
        self.addCleanup(self.cluster.kubectl, "apply", "-k", INSTALLATION)
        modes = ((), ("--server-side", "--force-conflicts"))
        for first in modes:
            for then in modes:
                with self.subTest(first=first, then=then):
                    self.cluster.kubectl("delete", "deployment", "verandad", "-n", SYSTEM)
                    for mode, document, scheme in ((first, plain, "http"), (then, metrics, "https"), (first, plain, "http"), (then, metrics, "https")):
                        self.cluster.kubectl("apply", "-f", "-", *mode, input=document)
                        container = self.cluster.expect("GET", path)["spec"]["template"]["spec"]["containers"][0]
                        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                            self.assertNotIn("httpGet", container[probe])
                            self.assertTrue(container[probe]["exec"]["command"][-1].startswith(f"{scheme}://127.0.0.1:7878/"), container[probe])

    def test_every_right_is_enough_and_used(self):
        granted = rights(self.cluster.expect("GET", ROLE)["rules"])
        daemon = self.start()
        self.apply("r")
        wait_for(lambda: self.ready("r"), "Ready", 120)
        events = f"/api/v1/namespaces/{self.namespace}/events"
        wait_for(lambda: any(e["reason"] == "Ready" for e in self.cluster.expect("GET", events)["items"]), "an event")
        # The same trouble twice is one event that counts, and a conflict is answered by reading.
        for turn in (1, 2):
            self.proxy.add(faults.answer(409, CONFLICT, "application/json", method="PATCH", path="/status", times=1))
            self.branch("r", "nowhere")
            said = lambda: [e["count"] for e in self.cluster.expect("GET", events)["items"] if e["reason"] == "Error" and "nowhere" in e["message"]]
            wait_for(lambda: sum(said()) >= turn, f"an event that counts {turn}", 120)
            self.assertEqual(len(said()), 1)
            self.branch("r", "main")
            wait_for(lambda: self.ready("r"), "Ready", 120)
        # A private remote, and the end of both: the finalizers were set, and are taken off.
        private = self.server(tls=True, users={"robot": "word"})
        secret = {"username": b"robot", "password": b"word", "ca.crt": private.ca}
        self.cluster.expect("POST", f"/api/v1/namespaces/{self.namespace}/secrets", {"metadata": {"name": "robot"}, "type": "kubernetes.io/basic-auth",
                                                                                    "data": {key: base64.b64encode(value).decode() for key, value in secret.items()}})
        self.apply("private", private.url + "/r.git", secretRef={"name": "robot"})
        wait_for(lambda: self.ready("private"), "Ready", 120)
        self.cluster.kubectl("delete", "repository", "r", "private", "-n", self.namespace, "--timeout=120s")
        needed = {used(r) for r in self.proxy.requests()}
        self.assertEqual([r for r in self.proxy.requests() if r.status in (401, 403)], [], daemon.log()[-3000:])
        self.assertLessEqual(needed, granted)
        self.assertEqual(granted - needed, set(), "granted and not used")
        self.assertEqual(daemon.stop(), 0)

    def test_a_token_that_is_replaced_in_its_file_is_used_without_a_restart(self):
        daemon = self.start()
        self.apply("r")
        wait_for(lambda: self.ready("r"), "Ready", 120)
        file = self.account / "token"
        first = file.read_text()
        # The account is made anew, so that the first token is of nobody.
        self.cluster.expect("DELETE", f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/verandad")
        self.cluster.kubectl("apply", "-k", INSTALLATION)
        new = self.account / "token.new"
        new.write_text(self.cluster.account_token("verandad", SYSTEM))
        new.rename(file)
        self.assertNotEqual(file.read_text(), first)
        wait_for(lambda: self.cluster.request("GET", self.repositories, token=first)[0] == 401, "the first token to be refused", 60, 0.2)
        self.branch("r", "nowhere")
        wait_for(lambda: "nowhere" in self.cluster.expect("GET", f"{self.repositories}/r")["status"]["conditions"][0]["message"], f"another status\n{daemon.log()[-2000:]}", 120)
        self.assertEqual(daemon.stop(), 0)

    def test_a_right_that_is_taken_away_is_named_once_and_heals(self):
        rules = self.cluster.expect("GET", ROLE)["rules"]
        self.addCleanup(self.grant, rules)
        daemon = self.start()
        self.apply("r")
        wait_for(lambda: self.ready("r"), "Ready", 120)
        self.grant([rule for rule in rules if rule["resources"] != ["repositories/status"]])
        may = lambda: self.cluster.run_kubectl("auth", "can-i", "patch", "repositories", "--subresource=status", "--as", f"system:serviceaccount:{SYSTEM}:verandad").stdout.strip()
        wait_for(lambda: may() == "no", "the role without it")
        self.apply("late")
        wait_for(lambda: "[!]API server: the last write failed (auth_rejected)" in daemon.http("/readyz?verbose")[1], "the refusal to be said")
        said = lambda: [line for line in daemon.log().splitlines() if "cannot patch resource" in line and "a status is refused" in line]
        wait_for(said, "the refusal in the log")
        tries = len(self.proxy.requests("PATCH", "/late/status"))
        wait_for(lambda: len(self.proxy.requests("PATCH", "/late/status")) > tries, "another try", 120)
        self.assertEqual(len(said()), 1, daemon.log()[-4000:])
        self.assertEqual(daemon.http("/readyz")[0], 200, "others can still be read and synced")
        self.grant(rules)
        wait_for(lambda: self.ready("late") and self.ready("r"), "Ready", 120)
        wait_for(lambda: "[+]API server ok" in daemon.http("/readyz?verbose")[1], "the end of the refusal to be said")
        self.assertEqual(daemon.stop(), 0)
