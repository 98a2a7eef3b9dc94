"""The sshd that tests/support has."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from ssh_server import SshServer  # noqa: E402

__all__ = ["SshServer"]
