"""Manual pages and shell completion: complete, and well formed."""
import re
import shutil
import subprocess
import sys
import unittest

from harness import ROOT
from harness.case import Case, manifest
from harness.daemon import BIN, CLEAN, veranda, verandad


def below(*path):
    """The commands below one, as its help names them."""
    found = re.search(r"(?s)\nSubcommands:\n(.*)", veranda(*path, "--help").stdout)
    return re.findall(r"(?m)^  (\w+)", found.group(1)) if found else []


def commands(*path):
    """All that do something, each with those that it belongs to."""
    return [name for sub in below(*path) for name in commands(*path, sub)] or [" ".join(path)]


def flags(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)) - {"--help"}


class Pages(Case):
    def setUp(self):
        super().setUp()
        subprocess.run([sys.executable, ROOT / "tools/man-pages", BIN, self.folder], check=True, timeout=120, stdin=subprocess.DEVNULL)

    def page(self, name):
        return (self.folder / name).read_text().replace("\\-", "-")

    def entries(self, name):
        """What has an entry of its own."""
        return set(re.findall(r"(?m)^\.TP\n\.B (.*)$", self.page(name)))

    def test_each_flag_of_the_daemon_has_an_entry(self):
        wanted = re.findall(r"(?m)^  (--.*)$", verandad("--help").stdout)
        self.assertGreater(len(wanted), 40)
        self.assertEqual(set(wanted) - self.entries("verandad.8"), {"--help, -h"} - self.entries("verandad.8"))

    def test_each_flag_and_command_of_the_command_line_is_there(self):
        page = self.page("veranda.1")
        self.assertTrue({"get", "sync", "cron next"} <= set(commands()))
        for command in commands():
            chapter = re.search(rf"(?ms)^\.SS {command}(?: [^\n]*)?\n(.*?)(?=^\.S[SH] )", page)
            self.assertIsNotNone(chapter, command)
            of_it = flags(re.search(r"(?s)Options:\n(.*)", veranda(*command.split(), "--help").stdout).group(1))
            self.assertEqual({flag for flag in of_it if not re.search(rf"(?m)^\.B (-\w, )?{flag}\b", chapter.group(1))}, set(), command)
        self.assertEqual({flag for flag in flags(veranda("--help").stdout) if flag not in page}, set())

    def test_nothing_of_the_builders_is_in_them(self):
        for name in ("verandad.8", "veranda.1"):
            self.assertNotRegex(self.page(name), r"/root|/home/|@[A-Z]+@")

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not there (Debian package mandoc)")
    def test_they_are_well_formed(self):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", self.folder / "verandad.8", self.folder / "veranda.1"], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)


def completed(*words):
    done = veranda("__complete", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class Words(unittest.TestCase):
    """What the command line answers a shell."""

    def test_commands(self):
        self.assertIn("describe", below())
        self.assertEqual(completed(""), below())
        self.assertEqual(completed("de"), ["describe", "delete"])
        self.assertEqual(completed("cron", ""), ["next"])
        self.assertEqual(completed("completion", ""), ["bash", "zsh"])

    def test_flags_of_the_command_and_of_all(self):
        for command in commands():
            known = flags(veranda(*command.split(), "--help").stdout.split("Options:")[1]) | flags(veranda("--help").stdout.split("Options:")[1])
            self.assertEqual({flag for flag in completed(*command.split(), "--") if flag != "--help"}, known, command)
        self.assertEqual(completed("sync", "--wa"), ["--wait"])

    def test_values(self):
        self.assertEqual(completed("get", "-o", "j"), ["json"])
        self.assertEqual(completed("get", "--output=y"), ["--output=yaml"])
        self.assertEqual(completed("get", "--output", "=", "y"), ["yaml"])  # as bash cuts it
        self.assertEqual(completed("apply", "-f", ""), [":files"])
        self.assertEqual(completed("--data-dir", ""), [":directories"])
        self.assertEqual(completed("-n", ""), [])
        self.assertEqual(completed("-n", "team", "ge"), ["get"])

    def test_kinds_and_names(self):
        self.assertEqual(completed("get", "package"), ["packagerevisions", "packagerevisionresources", "packages"])
        self.assertEqual(completed("get", "-A", "packages", ""), [":names packages"])
        self.assertEqual(completed("delete", ""), ["repositories"])
        for command in ("sync", "suspend", "resume", "dump"):
            self.assertEqual(completed(command, "--all" if command != "dump" else "--deep", ""), [":names repositories"])
        self.assertEqual(completed("get", "--no-such-flag", "packages", "a", ""), [":names packages"])


class Bash(Case):
    def complete(self, script, function, *words, **environment):
        line = " ".join(f"'{word}'" for word in words)
        done = subprocess.run(["bash", "-c", f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; {function}; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
                              env=CLEAN | {"PATH": f"{BIN.resolve()}:{CLEAN['PATH']}"} | environment, cwd=self.folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split("\n")[:-1]

    def test_of_the_command_line(self):
        script = veranda("completion", "bash").stdout
        self.assertEqual(self.complete(script, "_veranda", "veranda", "get", "-o", "na"), ["name"])
        (self.folder / "a file.yaml").touch()
        self.assertEqual(self.complete(script, "_veranda", "veranda", "apply", "-f", "a"), ["a file.yaml"])
        self.write("r.yaml", manifest("some", "/nowhere"), manifest("other", "/nowhere"))
        daemon = self.daemon()
        at = {"VERANDA_SERVER": f"http://127.0.0.1:{daemon.port}", "VERANDA_TOKEN": daemon.token()}
        self.assertEqual(self.complete(script, "_veranda", "veranda", "sync", "s", **at), ["some"])

    def test_of_the_daemon(self):
        script = (ROOT / "config/completion/verandad.bash").read_text()
        self.assertEqual(set(self.complete(script, "_verandad", "verandad", "--")), flags(" ".join(re.findall(r"(?m)^  (--.*)$", verandad("--help").stdout))) | {"--help"})
        self.assertEqual(self.complete(script, "_verandad", "verandad", "r"), ["release"])
        (self.folder / "folder").mkdir()
        (self.folder / "fine").touch()
        self.assertEqual(self.complete(script, "_verandad", "verandad", "--data-dir", "f"), ["folder"])
        self.assertEqual(set(self.complete(script, "_verandad", "verandad", "--config", "=", "f")), {"folder", "fine"})
        self.assertEqual(self.complete(script, "_verandad", "verandad", "--listen", ""), [""])


class Zsh(Case):
    # What the completion system would offer is printed; `compdef` is what makes a sourced script known to it.
    STUBS = 'compadd() { shift; print -rl -- "$@" }; _files() { print -r -- "files $*" }; compdef() { print -r -- "compdef $*" }'

    def zsh(self, *arguments):
        done = subprocess.run(["zsh", "-f", *map(str, arguments)], env=CLEAN | {"PATH": f"{BIN.resolve()}:{CLEAN['PATH']}"}, cwd=self.folder, capture_output=True, text=True,
                              timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def complete(self, script, *words):
        line = " ".join(f"'{word}'" for word in words)
        return self.zsh("-c", f"{self.STUBS}; words=({line}); CURRENT={len(words)}; source {script}")

    def test_of_the_command_line(self):
        script = self.folder / "_veranda"
        script.write_text(veranda("completion", "zsh").stdout)
        self.zsh("-n", script)
        self.assertEqual(self.complete(script), ["compdef _veranda veranda"], "as it is sourced")
        call = self.folder / "call"
        call.write_text(f"source {script}\n_veranda\n")
        self.assertEqual(self.complete(call, "veranda", "get", "-o", "na")[1:], ["name"])
        self.assertEqual(self.complete(call, "veranda", "apply", "-f", "")[1:], ["files "])

    def test_of_the_daemon(self):
        script = ROOT / "config/completion/_verandad"
        self.zsh("-n", script)
        self.assertEqual(set(self.complete(script, "verandad", "--")), flags(" ".join(re.findall(r"(?m)^  (--.*)$", verandad("--help").stdout))) | {"--help", "release"})
        self.assertEqual(self.complete(script, "verandad", "--data-dir", ""), ["files -/"])
        self.assertEqual(self.complete(script, "verandad", "--config", ""), ["files "])
