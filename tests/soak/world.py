"""The world of a soak: git remotes of several tempers, a real API server, and a fault proxy between it and the daemon."""
import random
import shutil
import threading

from harness.daemon import KubeDaemon
from harness.fault_proxy import FaultProxy, TcpProxy
from harness.git import Repository, annotation, package
from harness.git_server import GitServer
from harness.kube import CONFIG_API, CRDS, Cluster
from harness.machine import Machine
from harness.silent import Silent
from harness.wait import free_port

NAMESPACES = ("team-a", "team-b", "team-c", "team-d")
BRANCHES = ("main", "release", "next", "edge", "trial", "field")
NOWHERE = "nowhere"       # a branch that no remote has
KEPT_TAGS = 8             # of p0 in each repository, which is published again and again: what there is to cache does not grow
DIRECTORIES = ("", "", "team")
LIST = CONFIG_API + "/repositories"
REVS = CONFIG_API + "/packagerevs"
FREQUENCY = ("--repo-sync-frequency=30s", "--health-check-frequency=10s", "--listing-timeout=5s", "--connect-timeout=3s", "--sync-deadline=60s")


class Remotes:
    """Bare repositories and the hosts that serve them: a good one, a moody one that is slow, cut or silent at times, a fragile one that is killed or overrun at times, a silent one, and addresses that are wrong."""

    def __init__(self, folder, count):
        self.root, self.count = folder / "git", count
        self.root.mkdir()
        self.locks = [threading.Lock() for _ in range(count)]
        self.repositories = []
        for number in range(count):
            self.repositories.append(self.made(number))
        self.server = GitServer(folder / "server", self.root, workers=8)
        self.moody, self.silent = TcpProxy(self.server.port), Silent()
        self.folder, self.fragile_port, self.lives = folder, free_port(), 0
        self.fragile = self.start_fragile()

    def made(self, number):
        path, template = self.root / f"r{number}.git", self.root / f"r{number % 4}.git"
        if number >= 4:
            shutil.copytree(template, path)
            return Repository.at(path, self.repositories[number % 4].clock + number)
        repository = Repository(path)
        for n in range(3 + number):
            repository.publish(f"team/p{n}" if n % 2 else f"p{n}", 1)
        for revision in range(2, KEPT_TAGS + 1):
            repository.publish("p0", revision)
        repository.commit("drafts/p0/w1", package("p0", 9), "Draft\n\n" + annotation(package="p0", workspace="w1"), start="refs/heads/main")
        for branch in BRANCHES[1:]:
            repository.branch(branch, "refs/heads/main")
        return repository

    def start_fragile(self):
        """At its address of before, when it was killed."""
        self.lives += 1
        return GitServer(self.folder / f"fragile-{self.lives}", self.root, port=self.fragile_port)

    def address(self, draw):
        """The URL of a remote, drawn: mostly good ones."""
        number, kind = draw.randrange(self.count), draw.random()
        if kind < 0.68:
            return f"{self.server.url}/r{number}.git"
        if kind < 0.80:
            return f"{self.fragile.url}/r{number}.git"
        if kind < 0.94:
            return f"http://127.0.0.1:{self.moody.port}/r{number % 12}.git"
        if kind < 0.96:
            return f"http://127.0.0.1:{self.silent.port}/r{number % 2}.git"
        if kind < 0.98:
            return f"{self.server.url}/absent{number % 3}.git"
        return f"{self.server.url}/status/500/r{number % 3}.git"

    def number_of(self, url):
        """Which repository a URL leads to when all is well; None when it leads to none."""
        for host in (self.server.url, self.fragile.url, f"http://127.0.0.1:{self.moody.port}"):
            name = url.removeprefix(host + "/")
            if name != url and name.startswith("r") and name.endswith(".git"):
                return int(name[1:-4])
        return None

    def close(self):
        self.moody.close()
        self.silent.close()
        self.fragile.close()
        self.server.close()


class World:
    """Everything that a soak runs against, and the daemon; `close` ends it all."""

    def __init__(self, folder, arguments):
        self.folder, self.arguments = folder, arguments
        self.random = random.Random(arguments.seed)
        self.remotes, self.cluster, self.proxy, self.daemon = Remotes(folder, arguments.remotes), None, None, None
        self.machine = Machine(folder, folder / "data") if arguments.machine else None
        try:
            self.cluster = Cluster(folder / "cluster")
            for file in ("repositories.yaml", "packagerevs.yaml"):
                self.cluster.install_crd(CRDS / file)
            for name in NAMESPACES:
                self.cluster.expect("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
            self.proxy = FaultProxy.before(self.cluster, seed=arguments.seed)
        except BaseException:
            self.close()
            raise

    def begin(self):
        config = self.cluster.kubeconfig(server=self.proxy.url)
        self.daemon = KubeDaemon(config, self.folder / "data", *FREQUENCY, "--cache", self.arguments.cache, *self.arguments.flag,
                                 environment=self.machine.environment if self.machine else None)

    def objects(self):
        """All Repository objects as the API server has them now."""
        return self.cluster.expect("GET", LIST)["items"]

    def package_revs(self):
        """All PackageRev objects."""
        return self.cluster.list_all(REVS)

    def close(self):
        if self.daemon:
            self.daemon.kill()
        for part in (self.proxy, self.cluster, self.remotes):
            if part:
                part.close()
