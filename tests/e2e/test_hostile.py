"""Remotes that mean harm: each is refused within a bound, says why on its own Repository, and costs nobody else anything: not a sync, not memory, not the disk."""
import functools
import gzip
import hashlib
import pathlib
import random
import re
import struct

from harness.case import Case, manifest, secret
from harness.daemon import BIN
from harness.hostile_git import ADVERTISEMENT, COMMIT, ID_DELTA, MIB, RESULT, Contents, HostileGit, Remote, head, honest, number, on_band, packet, zlib
from harness.wait import wait_for

SANITIZED = b"__asan_init" in (BIN / "verandad").read_bytes()
ANSI = "\x1b[31mhostile\x07"


def attack(**answers):
    remote = honest()
    for name, answer in answers.items():
        setattr(remote, name, lambda out, answer=answer: answer(remote, out))
    return remote


def peak_bytes(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) << 10


def disk_bytes(path):
    return sum(p.stat().st_blocks * 512 for p in path.rglob("*") if p.is_file())


class HostileCase(Case):
    def hostile(self, name, remote):
        """A server for it alone: what a server speaks is remembered."""
        server = HostileGit({name: remote})
        self.addCleanup(server.close)
        return server

    def face(self, rows, *flags, memory, disk=256 * MIB):
        """Runs a daemon with a Repository for each row (name to remote, and what its condition must say) and two neighbours, one on disk and one at a server of its own,
        which must be synced while they go on."""
        good = self.repository("good")
        good.publish("a", 1)
        self.write("good.yaml", manifest("good", good.path))
        neighbour = self.server()
        self.write("neighbour.yaml", manifest("neighbour", f"{neighbour.url}/good.git"))
        servers = {name: self.hostile(name, remote) for name, (remote, _) in rows.items()}
        daemon = self.daemon("--max-concurrent-syncs=3", *flags)
        for name in ("good", "neighbour"):
            daemon.wait_condition(name, "Ready")
        self.write("hostile.yaml", *(manifest(name, servers[name].url(name)) for name in rows))
        for revision, (name, (_, pattern)) in enumerate(rows.items(), 2):
            good.publish("a", revision)
            for other in ("good", "neighbour"):
                daemon.cli("sync", other, "--wait", seconds=60)
                self.assertIn(f"{other}.a.v{revision}", daemon.revisions(other), f"while {name} is about")
            with self.subTest(name):
                self.said(daemon, name, pattern)
        self.assertLess(peak_bytes(daemon), memory * (3 if SANITIZED else 1), "memory")
        self.assertLess(disk_bytes(self.data), disk, "disk")
        told = daemon.log() + daemon.cli("get", "repositories", "-o", "json") + daemon.cli("describe", "repository", *rows)
        self.assertNotIn("\x1b", told)
        self.assertNotIn("\x07", told)
        return daemon

    def said(self, daemon, name, pattern, seconds=90):
        def text():
            found = daemon.repository(name)
            return " | ".join(f"{c['type']} {c['reason']} {c['message']}" for c in (found or {}).get("status", {}).get("conditions", []))
        return wait_for(lambda: re.search(pattern, text()) and text(), f"{pattern} on {name}: {text()}", seconds)

    def assert_no_debris(self, daemon):
        self.assertEqual(daemon.stop(), 0)
        for path in self.data.rglob("*"):
            self.assertNotRegex(path.name, r"^tmp_|\.tmp|\.gone-|^new-|\.lock$")
            if path.suffix == ".pack":
                self.assertTrue(path.with_suffix(".idx").exists(), path)


# -- lists of refs --------------------------------------------------------------------------------

@functools.cache
def many_tags_packets(tip):
    return b"".join(packet(f"{tip} refs/tags/p/v{n}\n") for n in range(1_001_000))


def million_refs(old):
    def answer(remote, out):
        tip = remote.refs["refs/heads/main"]
        if old:
            out.begin(ADVERTISEMENT)
            out.send(packet("# service=git-upload-pack\n") + b"0000" + packet(f"{tip} refs/heads/main\0side-band-64k ofs-delta\n".encode()))
        else:
            out.begin(RESULT)
        out.send(many_tags_packets(tip) + b"0000")
    return attack(advertise=answer) if old else attack(list=answer)


def endless_list(_, out):
    out.begin(RESULT)
    piece = packet("0" * 40 + " refs/tags/" + "x" * 60_000 + "\n") * 16
    while True:
        out.send(piece)


@functools.cache
def packed_refs():
    """What is 300 MiB once it is unpacked."""
    return gzip.compress(packet("0" * 40 + " refs/tags/" + "x" * 60_000 + "\n") * 5_200, 6)


def packed_list(_, out):
    out.begin(RESULT, Content_Encoding="gzip")
    out.send(packed_refs())


def endless_headers(_, out):
    out.send_response(200)
    while True:
        out.send_header("X-" + "a" * 1_000, "b" * 1_000)
        out.flush_headers()


def many_continues(_, out):
    while True:
        out.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)


def redirect(to):
    def answer(_, out):
        out.begin("text/plain", 302, Location=to)
        out.send(b"")
    return attack(advertise=answer)


class Lists(HostileCase):
    def test_one_that_unpacks_to_much_more_is_refused(self):
        packed_refs()
        daemon = self.face({"packed": (attack(list=packed_list), r"Error .*(larger than the \d+ bytes|allowed).*\(too_large\)")}, memory=900 * MIB)
        self.assert_no_debris(daemon)

    def test_each_is_refused_and_nobody_else_waits(self):
        many_tags_packets(honest().refs["refs/heads/main"])
        rows = {
            "million": (million_refs(False), r"Error .*more than 1000000 refs.*\(too_large\)"),
            "million-old": (million_refs(True), r"Error .*more than 1000000 refs.*\(too_large\)"),
            "endless": (attack(list=endless_list), r"Error .*(larger than the \d+ bytes|allowed).*\(too_large\)"),
            "headers": (attack(advertise=endless_headers), r"Error .*headers.*\(too_large\)"),
            "continues": (attack(advertise=many_continues), r"Error .*\((too_large|unavailable)\)"),
            "slow": (attack(list=lambda r, out: (out.begin(RESULT), out.trickle(packet("0" * 40 + " refs/heads/x\n") * 100, 1))), r"Error .*\(timed_out\)"),
            "slow-head": (attack(advertise=lambda r, out: out.trickle(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000, 1)), r"Error .*\(timed_out\)"),
            "cut": (attack(list=lambda r, out: (out.begin(RESULT), out.send(packet("0" * 40 + " refs/heads/x\n")))), r"Error .*cut short.*\(unavailable\)"),
            "lengths": (attack(list=lambda r, out: (out.begin(RESULT), out.send(b"fffg" * 100))), r"Error .*impossible length.*\(unsupported\)"),
            "words": (attack(list=lambda r, out: (out.begin(RESULT), out.send(packet(f"ERR {ANSI}<script> token=s3cret")))), r"Error .*reported an error.*\(unavailable\)"),
            "circle": (attack(advertise=lambda r, out: (out.begin("text/plain", 302, Location=out.path))), r"Error .*redirects too many times"),
            "file": (redirect("file:///etc/passwd/info/refs?service=git-upload-pack"), r"Error .*redirects to (a URL that is not allowed|something that is not this repository)"),
            "elsewhere": (redirect("http://169.254.169.254/latest/meta-data"), r"Error .*redirects to something that is not this repository"),
            "inside": (redirect("http://127.66.0.1:80/r/info/refs?service=git-upload-pack"), r"Error .*127.66.0.1.*is refused by --deny-cidr 127.66.0.0/16"),
            "escape": (redirect(f"http://h/{ANSI}\x1b/info/refs?service=git-upload-pack"), r"Error "),
        }
        daemon = self.face(rows, "--listing-timeout=20s", "--deny-cidr=127.66.0.0/16", memory=900 * MIB)
        told = daemon.log() + daemon.cli("get", "repositories", "-o", "json")
        for word in ("s3cret", "<script>"):
            self.assertNotIn(word, told)
        self.assert_no_debris(daemon)


# -- packs ----------------------------------------------------------------------------------------

def pack_of(*entries):
    body = b"PACK" + struct.pack(">II", 2, len(entries)) + b"".join(entries)
    return body + hashlib.sha1(body).digest()


def answer_with(pack):
    return lambda _, out: (out.begin(RESULT), out.send(packet("packfile\n") + on_band(1, pack) + b"0000"))


def endless_messages(_, out):
    out.begin(RESULT)
    out.send(packet("packfile\n"))
    piece = on_band(2, (ANSI + "remote: spam\n").encode() * 40_000)
    while True:
        out.send(piece)


def endless_pack(_, out):
    out.begin(RESULT)
    out.send(packet("packfile\n") + on_band(1, b"PACK" + struct.pack(">II", 2, 1_000) + head(3, 1 << 40) + b"\x78\x01"))
    noise = on_band(1, (b"\x00\xff\xff\x00\x00" + random.Random(7).randbytes(65_535)) * 16)  # not compressed: its length, the same inverted, and bytes
    while True:
        out.send(noise)


def cycle():
    """Two objects, each said to be a difference from the other."""
    ids = [hashlib.sha1(b"one").digest(), hashlib.sha1(b"two").digest()]
    body = number(10) + number(10) + b"\x90\x0a"
    return pack_of(*(head(ID_DELTA, len(body)) + other + zlib.compress(body) for other in reversed(ids)))


def damaged(pack):
    middle = len(pack) // 2
    body = pack[:middle] + bytes([pack[middle] ^ 0xFF]) + pack[middle + 1:-20]
    return body + hashlib.sha1(body).digest()


def without_trees(remote):
    """Its only commit names a tree that is nowhere."""
    text = b"tree %s\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nx\n" % (b"7" * 40)
    c = Contents()
    remote.refs = {"refs/heads/main": c.pack.add(COMMIT, text).hex()}
    remote.pack = c.bytes()
    return remote


def backwards(depth):
    """A chain of differences, each before the object that it is a difference from."""
    text = b"x" * 64
    chain, ids = [], []
    for n in range(depth):
        ids.append(hashlib.sha1(b"blob %d\0" % len(text) + text).digest())
        if n == 0:
            chain.append(head(3, len(text)) + zlib.compress(text))
        else:
            body = number(64) + number(64) + b"\x90\x38" + b"\x08" + b"%08d" % n  # 56 bytes of the base, and a number
            chain.append(head(ID_DELTA, len(body)) + ids[n - 1] + zlib.compress(body))
        text = text[:56] + b"%08d" % (n + 1)
    return pack_of(*reversed(chain))


class Packs(HostileCase):
    def test_each_is_refused_and_nobody_else_waits(self):
        good = honest().pack
        big_claim = b"PACK" + struct.pack(">II", 2, 0xFFFFFFFF) + good[12:]
        rows = {
            "messages": (attack(fetch=endless_messages), r"Error .*more than 16777216 bytes of messages.*\(too_large\)"),
            "endless": (attack(fetch=endless_pack), r"Error .*--max-pack-bytes.*\(too_large\)"),
            "claim": (attack(fetch=answer_with(big_claim)), r"Error .*--max-pack-objects.*\(too_large\)"),
            "slow": (attack(fetch=lambda r, out: (out.begin(RESULT), out.send(packet("packfile\n")), out.trickle(on_band(1, good) * 1_000, 0.5))), r"Error .*\(timed_out\)"),
            "truncated": (attack(fetch=lambda r, out: (out.begin(RESULT), out.send(packet("packfile\n") + on_band(1, good[:60])))), r"Error .*cut short.*\(unavailable\)"),
            "short": (attack(fetch=answer_with(good[:-30])), r"Error .*\(checksum_mismatch\)"),
            "checksum": (attack(fetch=answer_with(good[:-20] + bytes(20))), r"Error .*\(checksum_mismatch\)"),
            "damaged": (attack(fetch=answer_with(damaged(good))), r"Error .*\(checksum_mismatch\)"),
            "twice": (attack(fetch=answer_with(pack_of(*[head(3, 1) + zlib.compress(b"x")] * 2))), r"Error .*\(checksum_mismatch\)"),
            "cycle": (attack(fetch=answer_with(cycle())), r"Error .*\(checksum_mismatch\)"),
            "backwards": (attack(fetch=answer_with(backwards(3_000))), r"Error .*(did not send|\(conflict\)|\(timed_out\))"),
            "other": (attack(fetch=answer_with(pack_of(head(3, 1) + zlib.compress(b"x")))), r"Error .*did not send.*\(conflict\)"),
            "holes": (without_trees(honest()), r"Error .*lacks objects.*\(checksum_mismatch\)"),
            "words": (attack(fetch=lambda r, out: (out.begin(RESULT), out.send(packet("packfile\n") + on_band(3, f"{ANSI} s3cret".encode())))), r"Error .*reported an error"),
        }
        daemon = self.face(rows, "--sync-deadline=20s", "--max-pack-bytes=64Mi", memory=700 * MIB)
        self.assertNotIn("s3cret", daemon.log() + daemon.cli("get", "repositories", "-o", "json"))
        self.assert_no_debris(daemon)


# -- contents -------------------------------------------------------------------------------------

def contents(build):
    """A remote whose branch is the tree that `build` makes."""
    c = Contents()
    tip = c.commit(build(c))
    return Remote({"refs/heads/main": tip}, c.bytes())


def beside_good(build):
    """The same, with a good package in it, which must come through."""
    return contents(lambda c: c.tree(("40000", "bad", build(c)), ("40000", "good", c.package())))


def doubled(c, levels):
    """A directory that is two times the one below it, and so on."""
    tree = c.tree(("100644", "file", c.blob("x: 1\n")))
    for _ in range(levels):
        tree = c.tree(("40000", "a", tree), ("40000", "b", tree))
    return tree


def chain(c, depth, name):
    tree = c.package()
    for _ in range(depth):
        tree = c.tree(("40000", name, tree))
    return tree


def aliases():
    return "  labels:\n    k: &a " + "x" * 50_000 + "\n" + "".join(f"    k{n}: *a\n" for n in range(50_000))


def odd_names(c):
    file = c.blob("x: 1\n")
    return c.package("", ("120000", "link", c.blob("/etc/passwd")), ("160000", "module", bytes(20)), ("100644", "..", file), ("40000", ".git", c.tree(("100644", "config", file))),
                     ("100644", b"bad\xff", file), ("100644", ANSI, file), ("100644", "good.yaml", file))


def many_tags(count, note_bytes):
    c = Contents()
    tip = c.commit(c.tree(("40000", "pkg", c.package("  labels:\n    note: " + "x" * note_bytes + "\n"))))
    return Remote({"refs/heads/main": tip} | {f"refs/tags/pkg/v{n}": tip for n in range(1, count)}, c.bytes())


def many_files(c):
    """Packages that share 1,000 files of 1 MiB: a few hundred KiB as a pack."""
    entries = [("100644", f"f{n:04}", c.blob(b"%d" % n, MIB)) for n in range(300)]
    return c.package("", *entries)


class Holdings(HostileCase):
    def test_each_is_named_and_the_rest_is_there(self):
        degraded = "Ready Ready .*PackagesDegraded .*"
        rows = {
            "giant": (beside_good(lambda c: c.tree(("100644", "Kptfile", c.blob("apiVersion: kpt.dev/v1\nkind: Kptfile\n#", 400 * MIB)))), degraded + "bad/Kptfile: .*larger than 16777216 bytes"),
            "giant-file": (beside_good(lambda c: c.package("", ("100644", "huge", c.blob("", 400 * MIB)))), degraded + "huge: is larger than 8388608 bytes"),
            "giant-tree": (beside_good(lambda c: c.tree(zeros=300 * MIB)), degraded + "bad: is larger than 16777216 bytes"),
            "entries": (beside_good(lambda c: c.tree(*(("40000", f"d{n:07}", bytes(20)) for n in range(600_000)))), degraded + "bad: is larger than 16777216 bytes"),
            "doubled": (contents(lambda c: doubled(c, 62)), "PackagesDegraded .*(more than 1000000 entries|take more than 67108864 bytes); the rest was left out"),
            "deep": (beside_good(lambda c: chain(c, 300, "d")), degraded + "deeper than 64 directories"),
            "long": (beside_good(lambda c: chain(c, 60, "n" * 250)), degraded + "path is longer than 4096 bytes"),
            "long-name": (beside_good(lambda c: chain(c, 2, "n" * 15 * MIB)), degraded + "name of more than 4096 bytes"),
            "aliases": (beside_good(lambda c: c.package(aliases())), degraded + "bad/Kptfile: .*take more than 262144 bytes"),
            "names": (beside_good(odd_names), degraded + r"bad/\.\."),
            "tags": (many_tags(20_000, 200_000), r"Error .*--max-metadata-bytes.*\(too_large\)"),
            "files": (contents(lambda c: c.tree(("40000", "pkg", many_files(c)))), r"Error .*--max-sync-bytes.*\(too_large\)"),
        }
        daemon = self.face(rows, "--max-sync-bytes=64Mi", memory=1200 * MIB, disk=1024 * MIB)
        for name, (_, pattern) in rows.items():
            if pattern.startswith("Ready"):
                self.assertIn(f"{name}.good.main", daemon.revisions(name))
        resources = daemon.items("packagerevisionresources")
        odd = next(r for r in resources if r["metadata"]["name"] == "names.bad.main")["spec"]["resources"]
        self.assertEqual(set(odd), {"Kptfile", "link", "good.yaml"})
        self.assertEqual(odd["link"], "/etc/passwd", "a link is its text")
        self.assertNotIn("\x1b", daemon.cli("describe", "repository", "names") + daemon.cli("get", "packagerevisions", "-A"))
        self.assert_no_debris(daemon)


class Secrets(HostileCase):
    def test_no_redirect_carries_credentials_away(self):
        other = self.hostile("r", honest())
        rows = {}
        suffix = "/info/refs?service=git-upload-pack"
        rows["port"] = redirect(other.url("r") + suffix)
        rows["host"] = redirect(other.url("r").replace("127.0.0.1", "localhost") + suffix)
        rows["user"] = redirect(other.url("r").replace("http://", "http://evil@") + suffix)
        rows["service"] = attack(list=lambda r, out: out.begin("text/plain", 307, Location=other.url("r") + "/git-upload-pack"))
        self.write("secret.yaml", secret("s", "kubernetes.io/basic-auth", {"username": "robot", "password": "pa55-word"}))
        servers = {name: self.hostile(name, remote) for name, remote in rows.items()}
        for name, server in servers.items():
            self.write(f"{name}.yaml", manifest(name, server.url(name), secret="s"))
        daemon = self.daemon("--allow-plaintext-credentials")
        for name in ("port", "host"):
            daemon.wait_condition(name, "Ready")  # the other one asks for nothing
        for name in ("user", "service"):
            self.assertRegex(daemon.wait_condition(name, "Error")["message"], "redirect")
        for server in servers.values():
            self.assertTrue(all(auth for _, _, auth in server.seen), server.seen)
        self.assertTrue(other.seen)
        self.assertEqual([seen for seen in other.seen if seen[2]], [])
        self.assertNotIn("pa55", daemon.log() + daemon.cli("get", "repositories", "-o", "json") + daemon.cli("dump", "-o", "json"))
