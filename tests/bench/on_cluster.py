"""What the rows of the bench that run on a real API server have in common."""
import time

from harness.daemon import KubeDaemon
from harness.fault_proxy import FaultProxy
from harness.kube import CRDS, Cluster


class OnCluster:
    """A cluster of its own behind a proxy that counts requests, and a daemon that is started on it once or more with the same data directory."""

    def __init__(self, folder, *definitions):
        self.folder = folder
        self.cluster = Cluster(folder / "cluster")
        self.proxy = FaultProxy.before(self.cluster)
        for name in definitions:
            self.cluster.install_crd(CRDS / name)
        self.config = self.cluster.kubeconfig(server=self.proxy.url)

    def close(self):
        self.proxy.close()
        self.cluster.close()

    def launch(self, *flags):
        """Starts the daemon; requests and time count from here."""
        self.proxy.forget()
        self.begin = time.perf_counter()
        return KubeDaemon(self.config, self.folder / "data", "--health-check-frequency=60s", *flags)

    def since(self):
        """Seconds since the daemon was started."""
        return time.perf_counter() - self.begin
