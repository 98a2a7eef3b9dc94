"""`git daemon`."""
import contextlib
import os
import signal
import subprocess

from .wait import accepts, free_port, wait_for


class GitDaemon:
    """Serves the bare repositories below `root` over git:// until closed."""

    def __init__(self, root):
        self.port = free_port()
        self.process = subprocess.Popen(["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={self.port}", f"--base-path={root}", str(root)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
        wait_for(lambda: accepts(self.port), "git daemon")

    def url(self, path):
        return f"git://127.0.0.1:{self.port}/{path}"

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)
