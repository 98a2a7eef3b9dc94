"""Each bad input has its condition, with a class and what to do; nobody else is affected."""
from harness.case import Case, manifest
from harness.daemon import verandad
from harness.silent import Silent
from harness.wait import free_port, wait_for


class BadRemotes(Case):
    def test_each_has_its_condition_and_others_are_unaffected(self):
        good = self.repository("good")
        good.publish("a", 1)
        self.repository("empty")
        bare = self.repository("bare")
        bare.commit("main", {"README.md": "no packages here\n"})
        server, locked = self.server(), self.server(users={"u": "hunter-2-word"})
        rows = {
            "refused": (manifest("refused", f"http://127.0.0.1:{free_port()}/r.git"), "refused|connect"),
            "no-host": (manifest("no-host", f"http://{'x' * 64}.invalid/r.git"), "resolve|host"),  # a name that is too long for any DNS to be asked
            "unauthorized": (manifest("unauthorized", f"{locked.url}/good.git"), "401|credential|auth"),
            "gone": (manifest("gone", f"{server.url}/gone.git"), "404|not found"),
            "forbidden": (manifest("forbidden", f"{server.url}/status/403/r.git"), "403"),
            "busy": (manifest("busy", f"{server.url}/status/429/r.git"), "429|rate|throttle|many"),
            "broken": (manifest("broken", f"{server.url}/status/503/r.git"), "503"),
            "no-branch": (manifest("no-branch", good.path, branch="missing"), "missing"),
            "empty": (manifest("empty", self.git_root / "empty.git"), "empty|no branch|branch"),
            "no-path": (manifest("no-path", "/no/such/repository"), "not|no such"),
            "no-secret": (manifest("no-secret", f"{locked.url}/good.git", secret="nobody"), "nobody"),
        }
        self.write("good.yaml", manifest("good", good.path))
        for name, (text, _) in rows.items():
            self.write(f"{name}.yaml", text)
        daemon = self.daemon("--connect-timeout=10s")
        daemon.wait_condition("good", "Ready")
        for name, (_, pattern) in rows.items():
            with self.subTest(name):
                self.assertRegex(daemon.wait_condition(name, "Error")["message"].lower(), pattern)
        good.publish("a", 2)
        daemon.cli("sync", "good", "--wait")
        self.assertIn("good.a.v2", daemon.revisions("good"))
        self.assertNotIn("hunter-2-word", daemon.log())

    def test_a_hanging_host_blocks_nobody(self):
        silent = Silent()
        self.addCleanup(silent.close)
        good = self.repository("good")
        good.publish("a", 1)
        for number in range(6):
            self.write(f"h{number}.yaml", manifest(f"h{number}", f"http://127.0.0.1:{silent.port}/r{number}.git"))
        self.write("good.yaml", manifest("good", good.path))
        daemon = self.daemon("--max-concurrent-syncs=2", "--listing-timeout=15s")
        daemon.wait_condition("good", "Ready")
        self.assertEqual([n for n in range(6) if daemon.condition(f"h{n}").get("reason") == "Error"], [], "it was ready before any of them gave up")
        self.assertRegex(daemon.wait_condition("h5", "Error", seconds=120)["message"].lower(), "time|deadline")

    def test_no_packages_is_said(self):
        bare = self.repository("bare")
        bare.commit("main", {"README.md": "no packages here\n"})
        full = self.repository("full")
        full.publish("a", 1)
        self.write("bare.yaml", manifest("bare", bare.path))
        self.write("no-directory.yaml", manifest("no-directory", full.path, directory="nowhere"))
        daemon = self.daemon()
        for name, word in (("bare", "no package"), ("no-directory", "nowhere")):
            condition = wait_for(lambda name=name: (c := daemon.condition(name)).get("reason") in ("Ready", "Error") and c, f"an answer for {name}")
            self.assertIn(word, condition["message"].lower(), condition)

    def test_recovers_by_itself(self):
        path = self.git_root / "late.git"
        self.write("late.yaml", manifest("late", path))
        daemon = self.daemon("--health-check-frequency=1s")
        daemon.wait_condition("late", "Error")
        self.repository("late").publish("a", 1)
        daemon.wait_condition("late", "Ready")
        self.assertEqual(set(daemon.revisions("late")), {"late.a.v1", "late.a.main"})


class BadObjects(Case):
    def test_field_value_and_rule_are_named(self):
        good = self.repository("good")
        good.publish("a", 1)
        self.write("good.yaml", manifest("good", good.path))
        rows = {
            "branch": (manifest("branch", good.path, branch="a b"), ["spec.git.branch", "a b"]),
            "directory": (manifest("directory", good.path, directory="a/../b"), ["spec.git.directory", "a/../b"]),
            "url": (manifest("url", "gopher://x/y"), ["spec.git.repo", "gopher"]),
            "once": (manifest("once", good.path, run_once_at="tomorrow"), ["spec.sync.runOnceAt", "tomorrow"]),
            "type": (manifest("type", good.path).replace("type: git", "type: svn"), ["spec.type", "svn"]),
            "unknown": (manifest("unknown", good.path).replace("  type: git", "  type: git\n  colour: red"), ["colour"]),
        }
        for name, (text, _) in rows.items():
            self.write(f"{name}.yaml", text)
        self.write("oci.yaml", "apiVersion: config.porch.kpt.dev/v1alpha1\nkind: Repository\nmetadata:\n  name: oci\nspec:\n  type: oci\n  oci:\n    registry: example.org/packages\n")
        daemon = self.daemon()
        for name, (_, words) in rows.items():
            with self.subTest(name):
                message = daemon.wait_condition(name, "Error")["message"]
                for word in words:
                    self.assertIn(word, message)
        self.assertIn("oci", daemon.wait_condition("oci", "Error")["message"].lower())
        daemon.wait_condition("good", "Ready")

    def test_a_bad_cron_expression_falls_back_and_says_so(self):
        good = self.repository("good")
        good.publish("a", 1)
        self.write("r.yaml", manifest("r", good.path, schedule="61 * * * *"))
        daemon = self.daemon()
        condition = daemon.wait_condition("r", "Ready")
        invalid = [c for c in daemon.repository("r")["status"]["conditions"] if c["type"] == "ScheduleInvalid"]
        self.assertEqual([c["status"] for c in invalid], ["True"])
        self.assertIn("61 * * * *", invalid[0]["message"])
        self.assertIn("next sync scheduled at", condition["message"])


class BadSettings(Case):
    def test_every_problem_at_once_and_exit_status_2(self):
        done = verandad("--repo-sync-frequency=never", "--listen=nowhere", "--nonsense", "--data-dir", self.data, VERANDAD_LOG_LEVEL="loud")
        self.assertEqual(done.returncode, 2, done.stderr)
        for word in ("--repo-sync-frequency", "--listen", "--nonsense", "VERANDAD_LOG_LEVEL"):
            self.assertIn(word, done.stderr)
        self.assertFalse(self.data.exists(), "nothing starts with bad settings")

    def test_help_and_version(self):
        for flag, word in (("--help", "--repo-sync-frequency"), ("--version", "0.")):
            done = verandad(flag)
            self.assertEqual(done.returncode, 0)
            self.assertIn(word, done.stdout)


class Once(Case):
    def once(self):
        return verandad("--once", "--manifests", self.manifests, "--data-dir", self.data)

    def test_exit_statuses(self):
        good = self.repository("good")
        good.publish("a", 1)
        self.write("good.yaml", manifest("good", good.path))
        done = self.once()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("good", done.stdout)
        self.write("bad.yaml", manifest("bad", "/no/such/repository"))
        done = self.once()
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("bad", done.stdout)
        self.daemon()
        self.assertEqual(self.once().returncode, 3)

    def test_invalid_and_suspended_objects(self):
        good = self.repository("good")
        good.publish("a", 1)
        self.write("good.yaml", manifest("good", good.path))
        self.write("invalid.yaml", manifest("invalid", good.path, branch="a..b"))
        self.write("waits.yaml", manifest("waits", good.path, annotations={"veranda.dev/suspend": "true"}))
        done = self.once()
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = {line.split()[1]: line for line in done.stdout.splitlines()[1:]}
        self.assertIn("True", lines["good"])
        self.assertIn("spec.git.branch", lines["invalid"])
        self.remove("invalid.yaml")
        self.assertEqual(self.once().returncode, 0)
        self.write("broken.yaml", "kind: [\n")
        done = self.once()
        self.assertIn("broken.yaml", done.stdout + done.stderr)
        self.assertEqual(done.returncode, 1, done.stderr)

    def test_no_manifests_no_objects(self):
        done = self.once()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(verandad("--once", "--manifests", self.folder / "nowhere", "--data-dir", self.data).returncode, 0)
