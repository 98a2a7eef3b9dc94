"""A data directory on a disk that fails on cue (tests/crash/faults.c), what a power cut leaves of it, and what must be so afterwards."""
import collections
import contextlib
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess

from .daemon import BIN, CLEAN
from .git import ENVIRONMENT

LIBRARY = BIN / "libveranda_faults.so"
PAGE = 4096
CUTS = ("old", "names", "pages", "mixed")  # what may be left after a power cut; see `cut_power`
HASH = re.compile(r"[0-9a-f]{40}")
MADE_AGAIN = ("/packed-refs", "/veranda-index", "/veranda-packs")  # of a mirror, when it is used next
TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")


def environment(data, fault, at=0, **more):
    """Variables that put a failing disk below `data`. `more`: `switch`, `log`, `shadow`, `ms`."""
    if not LIBRARY.exists():
        raise AssertionError(f"{LIBRARY} is not there; build the target veranda_faults")
    names = {"switch": "WHILE", "log": "LOG", "shadow": "SHADOW", "ms": "MS"}
    return {"LD_PRELOAD": str(LIBRARY), "VERANDA_FAULT_DIR": str(data), "VERANDA_FAULT": fault, "VERANDA_FAULT_AT": str(at),
            "ASAN_OPTIONS": "verify_asan_link_order=0"} | {"VERANDA_FAULT_" + names[key]: str(value) for key, value in more.items()}


def once(manifests, data, *flags, seconds=120, **variables):
    """One pass over all repositories; `variables` as `environment` makes them."""
    command = [BIN / "verandad", "--once", "--manifests", manifests, "--data-dir", data, *map(str, flags)]
    return subprocess.run(command, env=CLEAN | variables, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False)


# -- a power cut -------------------------------------------------------------------------------------


def lines_of(file):
    """Name to (id, kind)."""
    if not file.exists():
        return {}
    parts = (line.split(" ", 2) for line in file.read_text().splitlines())
    return {name: (int(number), kind) for number, kind, name in parts}


class PowerCut:
    """Puts `data` into a state that a power cut may leave. Of what was not brought to the disk there is:
    old    nothing: names and contents are those of the last fsync of directory and file
    names  every name and no content, as after a file system has written its journal and no data
    pages  every name, and of contents the pages that chance has it
    mixed  of names and of pages what chance has it
    """

    def __init__(self, data, shadow, how, draw):
        self.data, self.shadow, self.how, self.draw = pathlib.Path(data), pathlib.Path(shadow), how, draw
        self.now = {}        # id of a directory to what it holds
        self.contents = {}   # id of a file to its content in memory

    def strike(self):
        names = lines_of(self.shadow / "now")
        root = names.pop(".", None)
        if root is None:
            return  # there is no such directory yet
        at = {".": root[0]} | {name: number for name, (number, kind) in names.items() if kind == "d"}
        self.now = {number: {} for number in at.values()}
        for name, (number, kind) in names.items():
            parent, _, last = name.rpartition("/")
            self.now[at[parent or "."]][last] = (number, kind)
            if kind == "f":
                self.contents[number] = (self.data / name).read_bytes()
        shutil.rmtree(self.data)
        self.make(self.data, root[0])

    def make(self, folder, number):
        folder.mkdir(mode=0o700)
        for name, (inner, kind) in sorted(self.entries(number).items()):
            if kind == "d":
                self.make(folder / name, inner)
            else:
                (folder / name).write_bytes(self.content(inner))
                (folder / name).chmod(0o600)

    def entries(self, number):
        """What a directory holds after the cut."""
        old, now = lines_of(self.shadow / f"d{number}"), self.now.get(number)
        if now is None or self.how == "old":
            return old
        if self.how != "mixed":
            return now
        kept = {}
        for name in sorted(old.keys() | now.keys()):
            chosen = self.draw.choice((old, now)).get(name)
            if chosen:
                kept[name] = chosen
        return kept

    def content(self, number):
        file = self.shadow / f"f{number}"
        old = file.read_bytes() if file.exists() else b""
        now = self.contents.get(number)
        if now is None or now == old or self.how in ("old", "names"):
            return old
        size = self.draw.choice((len(old), len(now)))
        pages = (self.draw.choice((old, now))[at:at + PAGE] for at in range(0, size, PAGE))
        return b"".join(page.ljust(PAGE, b"\0") for page in pages)[:size]


# -- what must be so ---------------------------------------------------------------------------------

# Times, fences and positions may differ; so may uids, which are drawn.
REPOSITORIES = ("ns, name, type, deployment, branch, directory, hex(branch_commit), basis_digest, basis_commit, basis_source, accepted_run_once, consumed_run_once, handled_request, "
                "last_error, last_error_code, revisions, packages, bad, bad_count, deletion_hold")
REVISIONS = ("p.name, r.ns, r.name, r.path, r.package, r.revision, r.workspace, r.lifecycle, r.latest, r.from_branch, r.ref, hex(r.commit_id), hex(r.tree), r.lock_repo, r.lock_directory, "
             "r.lock_ref, r.lock_commit, r.published_by, r.published_at, r.task, r.kptfile")
TABLES = {
    "repositories": f"SELECT {REPOSITORIES} FROM repositories ORDER BY ns, name",
    "revisions": f"SELECT {REVISIONS} FROM revisions r JOIN repositories p ON p.id = r.repository ORDER BY r.ns, r.name",
    "trees": "SELECT hex(digest), hex(files) FROM trees ORDER BY digest",
    "contents": "SELECT hex(digest), size, hex(data) FROM contents ORDER BY digest",
    "losses": "SELECT hex(t.digest), l.count, l.fits_at, l.first FROM losses l JOIN trees t ON t.id = l.tree ORDER BY t.digest",
}


def query(file, sql):
    """Rows of a store that nobody has open. It stays as it is, its log included, if its last user only read."""
    has_log = file.with_name(file.name + "-wal").exists()
    with contextlib.closing(sqlite3.connect(f"file:{file}?" + ("mode=ro" if has_log else "immutable=1"), uri=True)) as db:
        return db.execute(sql).fetchall()


def timeless(value):
    """Without what depends on when it was written, and on what was drawn."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in ("uid", "resourceVersion", "creationTimestamp", "fence")}
    if isinstance(value, list):
        return [timeless(inner) for inner in value]
    return TIME.sub("TIME", value) if isinstance(value, str) else value


def cache_of(data):
    """What the stores hold, by table."""
    found = {table: query(data / "packages.db", sql) for table, sql in TABLES.items()}
    found["objects"] = [timeless(json.loads(text)) for (text,) in query(data / "objects.db", "SELECT json FROM objects ORDER BY resource, ns, name")]
    return found


def files_of(data):
    """All files and directories but logs of stores; hashes in names do not count, but the number of them."""
    return sorted(HASH.sub("HASH", str(path.relative_to(data))) for path in data.rglob("*") if not path.name.endswith(("-wal", "-shm")))


def refs_of(data):
    """What the mirrors hold, as git tells."""
    return {mirror.name: git_in(mirror, "for-each-ref").stdout for mirror in mirrors_of(data)}


def mirrors_of(data):
    return sorted(path for path in (data / "mirrors").glob("*") if path.is_dir())


def git_in(mirror, *arguments):
    return subprocess.run(["git", *arguments], cwd=mirror, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)


def damage_in(data):
    """What git and SQLite find wrong; nothing is what should be."""
    wrong = []
    for mirror in mirrors_of(data):
        done = git_in(mirror, "fsck", "--full", "--strict", "--no-dangling")
        said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("notice:", "Checking"))]
        if done.returncode != 0 or said:
            wrong.append(f"git fsck of {mirror.name} ended with {done.returncode}: {' '.join(said)[:500]}")
    for file in ("packages.db", "objects.db"):
        if (answer := query(data / file, "PRAGMA integrity_check")) != [("ok",)]:
            wrong.append(f"{file}: {answer}")
    return wrong


class Picture:
    """All of a data directory that two undisturbed runs have in common."""

    def __init__(self, data):
        self.cache, self.files, self.refs = cache_of(data), files_of(data), refs_of(data)

    def differences(self, data, after_cut=False, merges=False):
        """What is otherwise in `data`, and what is damaged there. After a power cut that the cache survived a mirror may have older refs, or none, until it is used again.
        Of packs that were being merged some may still be there, until the next merge: each in whole."""
        other = Picture(data)
        wrong = [f"{table}: {changed(self.cache[table], other.cache[table])}" for table in self.cache if self.cache[table] != other.cache[table]]
        before, after = (without_packs(self.files), without_packs(other.files)) if merges else (self.files, other.files)
        lost, found = collections.Counter(before) - collections.Counter(after), collections.Counter(after) - collections.Counter(before)
        if found or not all(after_cut and name.endswith(MADE_AGAIN) for name in lost):
            wrong.append(f"files: {changed(before, after)}")
        halves = {path.with_suffix("") for path in data.rglob("pack-*.idx")} ^ {path.with_suffix("") for path in data.rglob("pack-*.pack")}
        if halves and not after_cut:
            wrong.append(f"packs without index, or the other way round: {halves}")
        if not after_cut and self.refs != other.refs:
            wrong.append(f"refs of mirrors: {self.refs} became {other.refs}")
        return wrong + damage_in(data)


def without_packs(files):
    return [name for name in files if "/objects/pack/pack-" not in name]


def changed(before, after):
    """The first row that differs, as short as can be."""
    if len(before) != len(after):
        lost, found = [row for row in before if row not in after], [row for row in after if row not in before]
        return f"{len(before)} rows became {len(after)}; missing {str(lost)[:300]}, too many {str(found)[:300]}"
    return next(": ".join(leaf(one, other)) for one, other in zip(before, after) if one != other)[:600]


def leaf(one, other, path=""):
    """Where two values differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next(leaf(one[key], other[key], f"{path}.{key}") for key in one if one[key] != other[key])
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return next(leaf(first, second, f"{path}[{n}]") for n, (first, second) in enumerate(zip(one, other)) if first != second)
    return path, f"{one!r} became {other!r}"
