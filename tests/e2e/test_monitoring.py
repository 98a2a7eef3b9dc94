"""Alerts and dashboard: they parse, fire when they should, and name only what /metrics shows."""
import json
import re
import shutil
import subprocess
import unittest

from harness import ROOT
from harness.case import Case, manifest

ALERTS = ROOT / "config/monitoring/alerts.yaml"
OPERATOR = ROOT / "config/kubernetes/metrics/prometheusrule.yaml"
DASHBOARD = ROOT / "config/monitoring/dashboard.json"
FROM_PROMETHEUS = {"instance", "job", "le"}  # labels that a scrape or a histogram adds
SELECTOR = re.compile(r"\b(veranda_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def exposed(samples):
    """Metric to label to values, of what /metrics answered."""
    found = {}
    for sample in samples:
        name, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})?", sample).groups()
        of = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
            of.setdefault(label, set()).add(value)
    return found


def strange(expression, texts, metrics):
    """What an expression, or a text that is filled from its result, names and /metrics does not show."""
    out, labels = [], set(FROM_PROMETHEUS)
    for name, matchers in SELECTOR.findall(expression):
        if name not in metrics:
            out.append(f"no metric {name}")
            continue
        labels |= set(metrics[name])
        for label, operator, value in MATCHER.findall(matchers):
            if label not in metrics[name] and label not in FROM_PROMETHEUS:
                out.append(f"{name} has no label {label}")
            elif operator in ("=", "!=") and label in metrics[name] and value not in metrics[name][label]:
                out.append(f"{name} has no {label} {value}")
    named = [label for group in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression) for label in re.split(r"[\s,]+", group.strip())]
    named += [label for text in texts for label in re.findall(r"\$labels\.(\w+)", text) + re.findall(r"\{\{\s*(\w+)\s*\}\}", text)]
    return out + [f"no label {label}" for label in named if label and label not in labels]


def alerts():
    """Name, expression and summary of each alert."""
    text = ALERTS.read_text()
    found = re.findall(r"(?m)^      - alert: (\w+)\n        expr: (.+)\n(?:        for: \w+\n)?        labels: \{severity: (?:critical|warning|info)\}\n"
                       r"        annotations:\n          summary: (.+)\n          runbook: docs/troubleshooting\.md#(\w+)$", text)
    assert len(found) == text.count("- alert:") > 0, "an alert is not written as the others"
    return found


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


class Names(Case):
    """Against a daemon with one repository that works and one that does not."""

    def test_alerts_and_panels_name_only_what_is_exposed(self):
        remote = self.repository("good")
        remote.publish("a", 1)
        self.write("good.yaml", manifest("good", remote.path))
        self.write("bad.yaml", manifest("bad", self.git_root / "nowhere.git"))
        daemon = self.daemon()
        daemon.wait_condition("good", "Ready")
        daemon.wait_condition("bad", "Error")
        metrics = exposed(daemon.metrics())
        for name, expression, summary, _ in alerts():
            with self.subTest(alert=name):
                self.assertIn("veranda_", expression)
                self.assertEqual(strange(expression, [summary], metrics), [])
        for panel in panels():
            with self.subTest(panel=panel["title"]):
                self.assertTrue(panel["targets"])
                for target in panel["targets"]:
                    self.assertIn("veranda_", target["expr"])
                    self.assertEqual(strange(target["expr"], [target["legendFormat"]], metrics), [])

    def test_what_is_not_exposed_is_found(self):
        metrics = {"veranda_a": {"kind": {"x"}}}
        self.assertEqual(strange('sum by (kind, instance) (veranda_a{kind="x"})', ["{{kind}} {{ $labels.kind }}"], metrics), [])
        for expression, text in (("veranda_b", ""), ('veranda_a{sort="x"}', ""), ('veranda_a{kind="y"}', ""), ("sum by (sort) (veranda_a)", ""),
                                 ("veranda_a", "{{sort}}"), ("veranda_a", "{{ $labels.sort }}")):
            self.assertEqual(len(strange(expression, [text], metrics)), 1, (expression, text))


class Rules(unittest.TestCase):
    def test_each_alert_has_its_runbook(self):
        book = (ROOT / "docs/troubleshooting.md").read_text()
        chapters = re.findall(r"(?m)^### (Veranda\w+)$", book)
        self.assertEqual(chapters, [name for name, *_ in alerts()])
        for name, _, _, anchor in alerts():
            self.assertEqual(anchor, name.lower())

    def test_the_operators_rules_are_the_same(self):
        plain, operator = ([line.rstrip() for line in path.read_text().split("\ngroups:\n" if path == ALERTS else "\n  groups:\n")[1].splitlines()]
                           for path in (ALERTS, OPERATOR))
        self.assertEqual(["  " + line for line in plain], operator)


@unittest.skipUnless(shutil.which("promtool"), "promtool is not there (Debian package prometheus)")
class Prometheus(Case):
    def test_alerts_are_valid(self):
        status, said = promtool("check", "rules", ALERTS)
        self.assertEqual(status, 0, said)
        self.assertIn(f"{len(alerts())} rules found", said)

    def test_each_alert_fires_and_each_keeps_quiet(self):
        text = (ROOT / "tests/monitoring/alerts_test.yaml").read_text()
        for name, *_ in alerts():
            self.assertEqual(re.findall(rf"(?m)^  - name: {name}(.*)$", text), ["", ", not"], name)
        rules = "rule_files: [alerts.yaml]"
        self.assertIn(rules, text)
        file = self.folder / "alerts_test.yaml"
        file.write_text(text.replace(rules, f"rule_files: [{json.dumps(str(ALERTS))}]"))
        status, said = promtool("test", "rules", file)
        self.assertEqual(status, 0, said)

    def test_panels_are_valid(self):
        """As recording rules, with Grafana's variables filled in."""
        expressions = [target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*") for panel in panels() for target in panel["targets"]]
        self.assertNotIn("$", "".join(expressions))
        rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
        file = self.folder / "panels.yaml"
        file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
        status, said = promtool("check", "rules", file)
        self.assertEqual(status, 0, said)
        self.assertIn(f"{len(expressions)} rules found", said)
