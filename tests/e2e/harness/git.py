"""Bare git repositories, written through fast-import: no working tree, fixed dates, so equal calls give equal objects."""
import json
import os
import subprocess

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
}
START = 1_700_000_000  # date of the first commit; each further one is a minute later


def run_git(*arguments, cwd=None, **more):
    done = subprocess.run(["git", *arguments], cwd=cwd, env=ENVIRONMENT, check=True, capture_output=True, timeout=600, **more)
    return done.stdout.decode().strip()


def annotation(**fields):
    """A `kpt:` line; `workspace` is short for workspaceName."""
    if "workspace" in fields:
        fields["workspaceName"] = fields.pop("workspace")
    return "kpt:" + json.dumps(fields)


def kptfile(name, extra=""):
    return f"apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {name}\n{extra}"


def package(path, value=1, extra=None):
    """Files of a small package below `path`."""
    name = path.rsplit("/", 1)[-1]
    files = {f"{path}/Kptfile": kptfile(name), f"{path}/config.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: \"{value}\"\n"}
    return files | {f"{path}/{key}": text for key, text in (extra or {}).items()}


class Repository:
    """A bare repository at `path`."""

    def __init__(self, path, branch="main"):
        self.path = str(path)
        self.clock = START
        run_git("init", "-q", "--bare", f"--initial-branch={branch}", self.path)
        run_git("config", "http.receivepack", "false", cwd=self.path)

    @classmethod
    def at(cls, path, clock):
        """One that is there already; its next commits are made after `clock`, in seconds since 1970."""
        found = cls.__new__(cls)
        found.path, found.clock = str(path), clock
        return found

    def git(self, *arguments):
        return run_git(*arguments, cwd=self.path)

    def commit(self, branch, files, message="Change", start=None, email="author@example.org"):
        """Puts a commit with `files` (None deletes) onto `branch`, which begins at `start` when it is new; answers its id."""
        self.clock += 60
        ref = f"refs/heads/{branch}"
        text = message.encode()
        stream = [b"commit %s\nmark :1\nauthor A <%s> %d +0000\ncommitter C <committer@example.org> %d +0000\ndata %d\n%s\n" % (
            ref.encode(), email.encode(), self.clock, self.clock, len(text), text)]
        base = self.resolve(ref) or (start and self.resolve(start))
        if base:
            stream.append(b"from %s\n" % base.encode())
        for path, content in files.items():
            quoted = b'"' + path.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
            if content is None:
                stream.append(b"D %s\n" % quoted)
            else:
                mode, data = content if isinstance(content, tuple) else ("100644", content)
                data = data if isinstance(data, bytes) else data.encode()
                stream.append(b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), quoted, len(data), data))
        subprocess.run(["git", "fast-import", "--quiet", "--force"], cwd=self.path, env=ENVIRONMENT, input=b"".join(stream) + b"\ndone\n", check=True,
                       capture_output=True, timeout=60)
        return self.resolve(ref)

    def resolve(self, name):
        try:
            return self.git("rev-parse", "-q", "--verify", name + "^{commit}")
        except subprocess.CalledProcessError:
            return None

    def tag(self, name, target="refs/heads/main"):
        self.git("update-ref", f"refs/tags/{name}", self.resolve(target) or target)

    def annotated_tag(self, name, target="refs/heads/main"):
        run_git("-c", "user.name=T", "-c", "user.email=t@example.org", "tag", "-f", "-a", "-m", "tag", name, self.resolve(target), cwd=self.path)

    def branch(self, name, target):
        self.git("update-ref", f"refs/heads/{name}", self.resolve(target))

    def delete(self, ref):
        self.git("update-ref", "-d", ref)

    def publish(self, path, revision, workspace=None, value=None):
        """A published revision as Porch leaves it: content on main, an approval with its annotation, a tag."""
        workspace = workspace or f"v{revision}"
        self.commit("main", package(path, value if value is not None else revision),
                    f"Edit {path}\n\n" + annotation(package=path, workspace=workspace, task={"type": "init", "init": {"description": path}}))
        self.commit("main", {}, f"Approve {path}\n\n" + annotation(package=path, workspace=workspace, revision=str(revision)))
        self.tag(f"{path}/v{revision}")
