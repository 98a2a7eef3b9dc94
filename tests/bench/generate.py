#!/usr/bin/env python3
"""Writes Porch-shaped repositories of known contents through git fast-import: `tests/bench/generate.py SIZE DIR`.

A package has 5 to 10 YAML files of 1 to 5 KB, one of them its Kptfile. A revision is a linear run of commits on main with `kpt:` annotations, the last one tagged
`<path>/v<N>`; each changes the Kptfile and one or two more files. Some packages have a draft or a proposed branch. Equal sizes give equal objects everywhere.
"""
import dataclasses
import json
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.git import ENVIRONMENT, START, run_git  # noqa: E402

FORMAT = 2  # part of the name of a kept repository: raise it when the output changes


@dataclasses.dataclass(frozen=True)
class Size:
    name: str
    packages: int
    revisions: int
    commits_per_revision: int
    drafts: int

    @property
    def package_revisions(self):
        """What a sync must find: tags, drafts and proposals, and the packages of main."""
        return self.packages * self.revisions + self.drafts + self.packages

    @property
    def refs(self):
        return self.packages * self.revisions + self.drafts + 1


SIZES = {s.name: s for s in (Size("S", 10, 3, 3, 3), Size("M", 200, 5, 3, 24), Size("L", 1000, 10, 2, 60), Size("P", 2000, 20, 2, 100))}


class Generator:
    def __init__(self, size, out):
        self.size, self.out = size, out
        self.random = random.Random(f"veranda {size.name} {FORMAT}")
        words = ["replica", "config", "network", "port", "volume", "policy", "upstream", "selector", "container", "value", "limit", "zone", "site", "node", "slice"]
        self.lines = [f"  {self.random.choice(words)}-{n:x}: \"{self.random.choice(words)} {self.random.choice(words)} {self.random.getrandbits(40):010x}\"\n" for n in range(20_000)]
        self.clock, self.marks = START, 0
        self.files = {}  # package path -> names of its files
        self.head = 0

    def path(self, number):
        return f"team-{number % 7}/area-{number % 3}/package-{number:04d}" if number % 5 else f"package-{number:04d}"

    def write(self, text):
        self.out.write(text if isinstance(text, bytes) else text.encode())

    def blob(self, path, content):
        data = content.encode()
        self.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))

    def resource(self, name):
        size = self.random.randint(1000, 5000)
        return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n" + "".join(self.random.choices(self.lines, k=size // 36))

    def kptfile(self, name, note):
        mutators = "".join(f"  - image: registry.example.org/functions/set-labels:v0.{n}\n    configMap:\n      note: \"{note}\"\n" for n in range(6))
        return (f"apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {name}\n  annotations:\n    example.org/note: \"{note}\"\n"
                f"info:\n  description: Package {name}, {note}\n  readinessGates:\n  - conditionType: example.org/ready\npipeline:\n  mutators:\n{mutators}")

    def commit(self, ref, message, parent=None):
        self.clock += 60
        self.marks += 1
        text = message.encode()
        self.write(b"commit %s\nmark :%d\nauthor Author <author@example.org> %d +0000\ncommitter Porch <porch@example.org> %d +0000\ndata %d\n%s\n" % (
            ref.encode(), self.marks, self.clock, self.clock, len(text), text))
        if parent:
            self.write(b"from :%d\n" % parent)
        return self.marks

    def main(self, message):
        self.head = self.commit("refs/heads/main", message, self.head)

    def change(self, path, note):
        """File commands of a new state of the package: all its files at first, later the Kptfile and one or two more."""
        name = path.rsplit("/", 1)[-1]
        if path not in self.files:
            self.files[path] = [f"resource-{n}.yaml" for n in range(self.random.randint(4, 9))]
            changed = self.files[path]
        else:
            changed = self.random.sample(self.files[path], self.random.randint(1, 2))
        self.blob(f"{path}/Kptfile", self.kptfile(name, note))
        for file in changed:
            self.blob(f"{path}/{file}", self.resource(name))

    def annotation(self, **fields):
        return "kpt:" + json.dumps(fields, separators=(",", ":"))

    def revision(self, path, number):
        workspace = f"v{number}"
        task = {"type": "init", "init": {"description": path}} if number == 1 else {"type": "edit", "edit": {"sourceRef": {"name": f"r.{path}.v{number - 1}"}}}
        self.main(f"Intermediate commit\n\n{self.annotation(package=path, workspaceName=workspace, task=task)}\n")
        self.change(path, f"revision {number}")
        for _ in range(self.size.commits_per_revision - 2):
            self.main(f"Render package\n\n{self.annotation(package=path, workspaceName=workspace)}\n")
            self.blob(f"{path}/{self.files[path][0]}", self.resource(path.rsplit("/", 1)[-1]))
        self.main(f"Approve {path}/{workspace}\n\n{self.annotation(package=path, workspaceName=workspace, revision=str(number))}\n")
        self.write(f"reset refs/tags/{path}/v{number}\nfrom :{self.head}\n\n")

    def draft(self, index):
        path = self.path(index * 3 % self.size.packages)
        kind = "proposed" if index % 3 == 0 else "drafts"
        workspace = f"work-{index}"
        self.commit(f"refs/heads/{kind}/{path}/{workspace}", f"Intermediate commit\n\n{self.annotation(package=path, workspaceName=workspace)}\n", self.head)
        self.change(path, f"draft {index}")

    def run(self):
        self.main("Begin\n")
        self.blob("README.md", "Packages.\n")
        for number in range(1, self.size.revisions + 1):
            for index in range(self.size.packages):
                self.revision(self.path(index), number)
        for index in range(self.size.drafts):
            self.draft(index)
        self.write("done\n")


def generate(size, path):
    """A bare repository at `path`, repacked as a server would have it."""
    run_git("init", "-q", "--bare", "--initial-branch=main", str(path))
    with subprocess.Popen(["git", "fast-import", "--quiet", "--done"], cwd=path, env=ENVIRONMENT, stdin=subprocess.PIPE) as process:
        Generator(size, process.stdin).run()
        process.stdin.close()
        if process.wait() != 0:
            raise SystemExit("git fast-import failed")
    run_git("repack", "-q", "-a", "-d", "-f", "--window=10", "--depth=50", "--write-bitmap-index", cwd=path)
    run_git("pack-refs", "--all", cwd=path)
    run_git("update-server-info", cwd=path)


def kept(size, folder):
    """The path of the generated repository below `folder`, made when it is not there yet."""
    path = pathlib.Path(folder) / f"{size.name}-{FORMAT}.git"
    if not path.exists():
        new = path.with_suffix(".new")
        subprocess.run(["rm", "-rf", str(new)], check=True)
        new.parent.mkdir(parents=True, exist_ok=True)
        generate(size, new)
        new.rename(path)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SIZES:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(SIZES)} DIR")
    print(kept(SIZES[sys.argv[1]], sys.argv[2]))
