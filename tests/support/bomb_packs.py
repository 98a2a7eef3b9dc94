"""Writes packs of objects that inflate to far more than they take: DIRECTORY/objects.pack (whole objects), DIRECTORY/delta.pack (a difference that
copies its base over and over), DIRECTORY/thin.pack (a difference from a huge object that is in the first one), DIRECTORY/plain.pack (a difference of
ordinary size) and DIRECTORY/history.pack (a small difference from an object of 80 MiB). Prints `name id` of the objects of the first and the last one."""
import hashlib
import struct
import sys
import zlib

MIB = 1 << 20
COMMIT, TREE, BLOB, TAG, OFFSET_DELTA, ID_DELTA = 1, 2, 3, 4, 6, 7
NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
KPTFILE = b"apiVersion: kpt.dev/v1\nkind: Kptfile\n#"
KPTFILE_SIZE = len(KPTFILE) + 512 * MIB
SIGNATURE = b"A <a@example.com> 1700000000 +0000"


def number(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def head(kind, size):
    first = kind << 4 | size & 15
    return bytes([first]) if size < 16 else bytes([first | 0x80]) + number(size >> 4)


def distance(value):
    out = bytearray([value & 0x7F])
    while value >> 7:
        value = (value >> 7) - 1
        out.insert(0, value & 0x7F | 0x80)
    return bytes(out)


class Pack:
    def __init__(self):
        self.entries = []
        self.size = 12

    def append(self, entry):
        self.entries.append(entry)
        self.size += len(entry)

    def add(self, kind, content, zeros=0):
        """An object of `content` and then so many zero bytes; answers its id."""
        size = len(content) + zeros
        packer = zlib.compressobj(1)
        digest = hashlib.sha1(NAMES[kind] + b" %d\0" % size + content)
        entry = head(kind, size) + packer.compress(content)
        piece = bytes(MIB)
        for done in range(0, zeros, MIB):
            part = piece[: min(MIB, zeros - done)]
            digest.update(part)
            entry += packer.compress(part)
        self.append(entry + packer.flush())
        return digest.digest()

    def add_copies(self, base_at, base_size, copies):
        """A difference that is its base so many times over."""
        body = number(base_size) + number(base_size * copies)
        body += (b"\xf0" + struct.pack("<I", base_size)[:3]) * copies
        self.append(head(OFFSET_DELTA, len(body)) + distance(self.size - base_at) + zlib.compress(body))

    def add_start_of(self, base, base_size, size):
        """A difference that is the first bytes of an object which lies elsewhere."""
        body = number(base_size) + number(size) + b"\xf0" + struct.pack("<I", size)[:3]
        self.append(head(ID_DELTA, len(body)) + base + zlib.compress(body))

    def write(self, path):
        body = b"PACK" + struct.pack(">II", 2, len(self.entries)) + b"".join(self.entries)
        with open(path, "wb") as file:
            file.write(body + hashlib.sha1(body).digest())


def commit(tree):
    return b"tree %s\nauthor %s\ncommitter %s\n\nmessage\n" % (tree.hex().encode(), SIGNATURE, SIGNATURE)


def entry(mode, name, target):
    return mode + b" " + name + b"\0" + target


def objects(path):
    pack = Pack()
    ids = {}
    ids["kptfile"] = pack.add(BLOB, KPTFILE, 512 * MIB)
    good = pack.add(BLOB, b"apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: good\n")
    good_tree = pack.add(TREE, entry(b"100644", b"Kptfile", good))
    bomb_tree = pack.add(TREE, entry(b"100644", b"Kptfile", ids["kptfile"]))
    ids["tree"] = pack.add(TREE, entry(b"100644", b"Kptfile", good) + entry(b"100644", b"zeros", bytes(20)), 300 * MIB)
    root = pack.add(TREE, entry(b"40000", b"bomb", bomb_tree) + entry(b"40000", b"good", good_tree) + entry(b"40000", b"huge", ids["tree"]))
    ids["good"] = pack.add(COMMIT, commit(root))
    ids["commit"] = pack.add(COMMIT, commit(root), 300 * MIB)
    ids["large"] = pack.add(COMMIT, commit(root), 17 * MIB)
    ids["tag"] = pack.add(TAG, b"object %s\ntype commit\ntag t\ntagger %s\n\n" % (ids["good"].hex().encode(), SIGNATURE), 300 * MIB)
    pack.write(path)
    return ids


def history(path):
    pack = Pack()
    base = pack.add(BLOB, b"", 80 * MIB)
    pack.add_start_of(base, 80 * MIB, 100)
    pack.write(path)
    return hashlib.sha1(b"blob 100\0" + bytes(100)).digest()


def delta(path, base_bytes, copies):
    pack = Pack()
    pack.add(BLOB, b"", base_bytes)
    pack.add_copies(12, base_bytes, copies)
    pack.write(path)


if __name__ == "__main__":
    folder = sys.argv[1]
    identities = objects(folder + "/objects.pack")
    identities["small"] = history(folder + "/history.pack")
    for name, identity in identities.items():
        print(name, identity.hex())
    thin = Pack()
    thin.add_start_of(identities["kptfile"], KPTFILE_SIZE, 100)
    thin.write(folder + "/thin.pack")
    delta(folder + "/delta.pack", 8 * MIB, 128)
    delta(folder + "/plain.pack", MIB, 8)
