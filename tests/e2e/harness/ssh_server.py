"""The sshd that tests/support has."""
import sys

from . import ROOT

sys.path.insert(0, str(ROOT / "tests/support"))
from ssh_server import SshServer  # noqa: E402

__all__ = ["SshServer"]
