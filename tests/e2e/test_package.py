"""The Debian package: what is in it, what it needs, what it does when it comes and goes."""
import gzip
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import ROOT
from harness.case import Case, manifest
from harness.daemon import BIN, CLEAN

TOOLS = ("cpack", "dpkg-deb", "dpkg-shlibdeps", "file")
missing = [tool for tool in TOOLS if shutil.which(tool) is None] + ([] if (BIN / "CPackConfig.cmake").exists() else ["CPackConfig.cmake"])


def run(*command, **more):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


@unittest.skipIf(missing, f"missing: {missing}")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        run("cpack", "--config", BIN / "CPackConfig.cmake", "-B", cls.folder)
        (cls.package,) = cls.folder.glob("*.deb")
        cls.root = cls.folder / "root"
        run("dpkg-deb", "--raw-extract", cls.package, cls.root)
        cls.content = {}
        for line in run("dpkg-deb", "--contents", cls.package).splitlines():
            mode, owner, _, _, _, path = line.split(None, 5)
            cls.content[path.removeprefix(".").rstrip("/") or "/"] = (mode, owner)

    def field(self, name):
        return run("dpkg-deb", "--field", self.package, name).strip()

    def test_it_has_all_that_belongs_to_it(self):
        self.assertEqual({mode for path, (mode, _) in self.content.items() if path in ("/usr/bin/verandad", "/usr/bin/veranda")}, {"-rwxr-xr-x"})
        self.assertEqual(self.content["/etc/veranda/manifests"], ("drwxr-x---", "root/root"))
        for path in ("/lib/systemd/system/verandad.service", "/usr/lib/sysusers.d/veranda.conf", "/etc/veranda/veranda.yaml", "/usr/share/man/man8/verandad.8.gz", "/usr/share/man/man1/veranda.1.gz",
                     "/usr/share/bash-completion/completions/veranda", "/usr/share/bash-completion/completions/verandad",
                     "/usr/share/zsh/vendor-completions/_veranda", "/usr/share/zsh/vendor-completions/_verandad",
                     "/usr/share/doc/veranda/copyright", "/usr/share/doc/veranda/changelog.gz", "/usr/share/doc/veranda/changelog.Debian.gz",
                     "/usr/share/doc/veranda/operations.md", "/usr/share/doc/veranda/config/monitoring/alerts.yaml",
                     "/usr/share/doc/veranda/config/kubernetes/kustomization.yaml"):
            self.assertEqual(self.content.get(path), ("-rw-r--r--", "root/root"), path)
        others = [path for path in self.content if not re.match(r"/(usr|etc|lib)?(/|$)", path)]
        self.assertEqual((others, {owner for _, owner in self.content.values()}), ([], {"root/root"}))
        self.assertEqual(gzip.open(self.root / "usr/share/man/man8/verandad.8.gz", "rt").read()[:13], ".TH VERANDAD ")

    def test_it_names_who_answers_for_it(self):
        contact = self.field("Maintainer")
        self.assertRegex(contact, r"^[^<>]+ <[^<>@ ]+@[^<>@ ]+>$")
        last = gzip.open(self.root / "usr/share/doc/veranda/changelog.Debian.gz", "rt").read().splitlines()[-1]
        self.assertRegex(last, rf"^ -- {re.escape(contact)}  \w{{3}}, \d{{2}} \w{{3}} \d{{4}} \d{{2}}:\d{{2}}:\d{{2}} \+0000$")

    def test_it_needs_what_it_uses(self):
        needs = self.field("Depends")
        for name in ("libcaf-core", "libcurl4", "libgit2-", "libsqlite3-0", "libssl3", "ca-certificates", "tzdata"):
            self.assertRegex(needs, rf"(^|, ){name}", name)
        version = re.search(r"project\(veranda VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual((self.field("Package"), self.field("Version")), ("veranda", version + "-1"))

    def test_settings_survive_an_upgrade_and_nothing_starts(self):
        self.assertEqual((self.root / "DEBIAN/conffiles").read_text().split(), [path for path in self.content if path.startswith("/etc/") and self.content[path][0][0] == "-"])
        for name in ("postinst", "prerm", "postrm"):
            script = self.root / "DEBIAN" / name
            self.assertEqual(script.stat().st_mode & 0o777, 0o755)
            run("sh", "-n", script)
            self.assertNotRegex(script.read_text(), r"(systemctl|deb-systemd-invoke|deb-systemd-helper) [^\n]*(?<![-\w])(start|restart|enable)\b")

    def test_its_programs_run(self):
        case = Case()
        case.setUp()
        self.addCleanup(case.doCleanups)
        remote = case.repository("r")
        remote.publish("a", 1)
        case.write("r.yaml", manifest("r", remote.path))
        settings = case.folder / "veranda.yaml"
        shipped = (self.root / "etc/veranda/veranda.yaml").read_text()
        settings.write_text(shipped.replace("/etc/veranda/manifests", str(case.manifests)).replace("/var/lib/veranda", str(case.data)))
        self.assertNotEqual(settings.read_text(), shipped)
        table = run(self.root / "usr/bin/verandad", "--config", settings, "--once", env=CLEAN)
        self.assertRegex(table, r"\ndefault +r +True +2 ")
        for program in ("verandad", "veranda"):
            version = run(self.root / "usr/bin" / program, "--version", env=CLEAN)
            self.assertEqual(version.split(), [program, self.field("Version").removesuffix("-1")])
