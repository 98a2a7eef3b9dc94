"""Ended, or failed by its disk, at any call that changes the data directory: the next run makes of it what an undisturbed one makes. All calls of the short syncs, some of
the long ones; tools/crash goes through all of everything."""
import pathlib
import shutil
import sys
import tempfile
import unittest

from harness.crashes import SCENARIOS, Injector, SmallDisks

# Scenario, what happens, and every how many calls. A step is prime to what calls come in, so that it meets all kinds of them.
ENDED = (("empty", "die", 1), ("empty", "mixed", 3), ("incremental", "die", 1), ("incremental", "mixed", 3), ("incremental", "torn", 7), ("incremental", "names", 11),
         ("cold", "die", 7), ("cold", "mixed", 11), ("cold", "old", 23), ("merging", "die", 13), ("merging", "pages", 13),
         ("outgrown", "die", 13), ("outgrown", "mixed", 29), ("evicting", "die", 29), ("evicting", "mixed", 47),
         ("planned", "die", 1), ("planned", "mixed", 5))
FAILED = (("incremental", "ENOSPC", 19), ("incremental", "EIO", 29), ("incremental", "once", 5), ("cold", "EROFS", 47), ("evicting", "EIO", 53))


class CrashPoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="veranda-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.scenarios = {name: make(cls.folder / name) for name, make in SCENARIOS.items()}

    def go(self, rows):
        for name, how, step in rows:
            count, wrong = Injector(self.scenarios[name], how).run_all(step)
            print(f"COUNT: {name}, {how}: {count} runs, at every {step}. call", file=sys.stderr)
            with self.subTest(scenario=name, how=how):
                self.assertGreater(count, 4)
                self.assertEqual(wrong, [])

    def test_ended(self):
        self.go(ENDED)

    def test_failed_by_the_disk(self):
        self.go(FAILED)

    def test_room_for_some_pages_only(self):
        if refusal := SmallDisks.refusal():
            self.skipTest(f"mounting a small file system is not permitted here: {refusal}")
        count, wrong = SmallDisks(self.scenarios["incremental"]).run_all(11)
        print(f"COUNT: incremental, on small disks: {count} runs", file=sys.stderr)
        self.assertGreater(count, 4)
        self.assertEqual(wrong, [])
