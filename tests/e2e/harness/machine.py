"""A machine for a daemon whose clock is wrong and whose disk is full when a test says so."""
import mmap
import struct
import subprocess

from . import ROOT

SOURCE = ROOT / "tests/support/machine.c"


class Machine:
    """The clock and the disk of a daemon whose data directory is `data`, as machine.c lets it see them; sound as long as nothing is said. It is started with
    `environment`. Not for a daemon that is built with AddressSanitizer, which reads the real clock."""

    def __init__(self, folder, data):
        library, told = folder / "machine.so", folder / "machine"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
        told.write_bytes(bytes(16))
        with told.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 16)
        self.environment = {"LD_PRELOAD": str(library), "VERANDA_TEST_MACHINE": str(told), "VERANDA_TEST_DATA": str(data)}
        self.ahead, self.full = 0, False

    def say(self, ahead=None, full=None):
        """`ahead`: seconds that its clock is ahead of ours; `full`: whether its data directory has no room."""
        self.ahead, self.full = self.ahead if ahead is None else ahead, self.full if full is None else full
        self.memory[:] = struct.pack("qq", int(self.ahead * 10**9), self.full)
