"""What the tools make of their arguments, before they do anything."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import ROOT


def run(tool, *arguments, path=os.environ["PATH"]):
    done = subprocess.run([ROOT / "tools" / tool, *map(str, arguments)], env={"PATH": path, "HOME": "/nonexistent"}, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


class Quickstart(unittest.TestCase):
    def test_help_is_the_head_of_the_file(self):
        status, out, err = run("quickstart", "--help")
        self.assertEqual((status, err), (0, ""))
        for flag in ("--once", "--branch", "--directory", "--username", "--password-file", "--ca-file", "--state"):
            self.assertIn(flag, out)

    def test_what_cannot_be_meant_is_refused_before_anything_is_done(self):
        for arguments, why in (
                (["--branch"], "--branch needs a value"),
                (["--state", "--once"], "--state needs a value"),
                (["--nonsense"], "unknown flag --nonsense"),
                (["https://git.example/a", "https://git.example/b"], "one URL only"),
                (["--username", "u"], "--username needs --password-file"),
                (["--password-file", "/dev/null"], "--password-file needs --username"),
                (["--ca-file", "/nonexistent/ca.crt"], "cannot read /nonexistent/ca.crt")):
            with self.subTest(arguments):
                status, out, err = run("quickstart", *arguments)
                self.assertEqual((status, out), (1, ""))
                self.assertIn(f"error: {why}", err)


class Checks(unittest.TestCase):
    def test_what_there_is_not_is_refused_before_anything_is_done(self):
        for tool, argument, why in (("test", "--nonsense", "unknown argument --nonsense"), ("fuzz", "nonsense", "unknown target nonsense"), ("races", "test_nonsense", "unknown suite test_nonsense")):
            with self.subTest(tool):
                status, out, err = run(tool, argument)
                self.assertEqual((status, out), (1, ""))
                self.assertIn(f"error: {why}", err)


class Image(unittest.TestCase):
    """With a builder that only says what it was told."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-image-"))
        self.addCleanup(shutil.rmtree, self.folder)
        builder = self.folder / "buildah"
        builder.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        builder.chmod(0o755)
        (ROOT / "build").mkdir(exist_ok=True)
        self.programs = pathlib.Path(tempfile.mkdtemp(prefix="image-", dir=ROOT / "build"))
        self.addCleanup(shutil.rmtree, self.programs)

    def image(self, *arguments):
        return run("image", *arguments, path=f"{self.folder}:{os.environ['PATH']}")

    def make(self, folder):
        for name in ("verandad", "veranda"):
            (folder / name).touch(0o755)

    def test_it_builds_what_the_dockerfile_says(self):
        status, out, err = self.image("--base", "debian:test", "--platform", "linux/arm64")
        self.assertEqual(status, 0, err)
        told = out.splitlines()
        self.assertEqual((told[0], told[-3:]), ("build", ["--file", "Dockerfile", "."]))
        self.assertLessEqual({"BASE=debian:test", "PREBUILT="}, set(told))
        self.assertEqual(told[told.index("--platform") + 1], "linux/arm64")
        self.assertRegex(told[told.index("--tag") + 1], r"^verandad:[0-9.]+$")

    def test_programs_that_are_there_are_taken(self):
        self.make(self.programs)
        status, out, err = self.image("--prebuilt", self.programs, "--tag", "mine:1")
        self.assertEqual(status, 0, err)
        self.assertIn(f"PREBUILT=build/{self.programs.name}", out.splitlines())
        self.assertIn("mine:1", out.splitlines())

    def test_programs_that_are_not_there_or_out_of_reach_are_refused(self):
        status, out, err = self.image("--prebuilt", self.programs)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("has no verandad and veranda", err)
        self.make(self.folder)
        status, out, err = self.image("--prebuilt", self.folder)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("is not below", err)


if __name__ == "__main__":
    unittest.main()
