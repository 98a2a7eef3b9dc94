#!/usr/bin/env python3
"""Holds the direction of dependencies: who may include whom. The build alone cannot, because every box sees the same source root.

messages/model <- actors/logic <- actors; actors and messages -> adapters' interfaces; adapters -> model (and few others, named below); config -> model;
tools and tests -> everything. And no Python file of the tests imports what it does not use.
"""
import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

# Boxes by longest prefix, and the boxes that each may include besides itself.
BOXES = {
    "messages/model": [],
    "messages": ["messages/model"],
    "actors/logic": ["messages/model"],
    "actors/system": ["messages", "messages/model", "actors", "actors/logic", "adapters", "config"],  # the composition root
    "actors": ["messages", "messages/model", "actors/logic", "adapters"],
    "adapters/kpt": ["messages/model", "actors/logic"],
    "adapters/process": ["messages/model"],
    "adapters/git": ["messages/model", "actors/logic", "adapters/process"],
    "adapters/codec": ["messages/model", "adapters/store"],
    "adapters/store": ["messages/model", "adapters/process"],
    "adapters/source": ["messages/model", "adapters/codec", "adapters/process", "adapters/store"],
    "adapters/secrets": ["messages/model", "adapters/process", "adapters/source"],
    "adapters/kube": ["messages/model", "actors/logic", "adapters/codec", "adapters/process", "adapters/source", "adapters/store"],
    "adapters/api": ["messages/model", "adapters/store", "adapters/codec"],
    "config": ["messages/model"],
}

# Third-party headers by their first path element or name, and the boxes (or single files) that may include them.
THIRD_PARTY = {
    "caf": ["messages", "actors"],
    "spdlog": ["actors/common", "tools"],
    "git2.h": ["adapters/git"],
    "git2": ["adapters/git"],
    "curl": ["adapters/git", "adapters/kube", "tools/veranda"],
    "sqlite3.h": ["adapters/store"],
    "boost": ["adapters/api"],
    "openssl": ["messages/model", "adapters/api", "adapters/git", "adapters/source", "adapters/store", "adapters/secrets"],
    "yaml.h": ["adapters/kpt", "adapters/source"],
    "yaml-cpp": ["adapters/kube", "adapters/source", "config", "tools/veranda"],
    "simdjson.h": ["adapters/kpt", "adapters/codec", "adapters/kube"],
    "nlohmann": ["actors", "adapters", "tools"],
    "cctz": ["actors/logic", "config", "tools/veranda"],
    "CLI": ["config", "tools/veranda"],
}
BANNED_TEXT = [
    ("", re.compile(r"\bcaf::infinite\b|#\s*include\s*<caf/all\.hpp>"), "waits for ever, or includes all of CAF"),
    ("actors", re.compile(r"\bself->request\([^;]*?\.(?:then|await)\("), "leaves the timer of an answered request behind: `ask` (actors/common/ask.hpp) does not"),
]
IMPLEMENTATION = re.compile(r"(libgit2|sqlite|curl|beast|posix)_|_impl\.hpp$")


def box_of(path):
    parts = path.split("/")
    for length in range(len(parts) - 1, 0, -1):
        prefix = "/".join(parts[:length])
        if prefix in BOXES:
            return prefix
    return None


def below(path, folders):
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def project_rule(path, target):
    """The rule that including `target` from `path` breaks, or None."""
    here, there = box_of(path), box_of(target)
    if not (ROOT / target).exists():
        return "include paths are from the repository root"
    if target.startswith(("tests/", "tools/")) and not path.startswith(target.split("/")[0] + "/"):
        return f"{target.split('/')[0]} may be included by nobody else"
    if here is None or there is None or here == there:
        return None
    if not below(there, BOXES[here]) and there not in BOXES[here]:
        return f"{here} may include: {', '.join(BOXES[here]) or 'itself only'}"
    if here.startswith("adapters/") and there == "messages" and target != "messages/errors.hpp":
        return "of messages, adapters may include the model and errors.hpp"
    if here in ("actors", "messages") and there.startswith("adapters") and IMPLEMENTATION.search(target.rsplit("/", 1)[-1]):
        return "actors and messages know the interfaces of adapters only"
    return None


def third_party_rule(path, target):
    first = target.split("/")[0]
    if first not in THIRD_PARTY:
        return None
    allowed = THIRD_PARTY[first]
    if not below(path, allowed):
        return f"<{first}> belongs to: {', '.join(allowed)}"
    if first == "caf" and below(path, ["messages/model", "actors/logic"]):
        return "the model and the logic know no CAF"
    if path.startswith("adapters/") and path.endswith(".hpp") and is_interface(path):
        return "third-party headers stay in the .cpp files of adapters"
    return None


def is_interface(path):
    """Headers that others include: private ones of an adapter may name its library."""
    return path in INTERFACES


def files():
    for folder in ("messages", "actors", "adapters", "config", "tools", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".hpp", ".cpp", ".h", ".c") and path.is_file():
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def included_from_elsewhere(sources):
    return {target for path, text in sources for _, target in INCLUDE.findall(text)
            if target.startswith("adapters/") and not path.startswith(target.rsplit("/", 1)[0] + "/") and not path.startswith("tests/")}


def unused_imports(text):
    """Names that a Python file imports and does not use."""
    nodes = list(ast.walk(ast.parse(text)))
    imported = {(alias.asname or alias.name).split(".")[0] for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    exported = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # `__all__`
    return sorted(imported - exported - {node.id for node in nodes if isinstance(node, ast.Name)})


def python_problems():
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for name in unused_imports(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(ROOT).as_posix()}: imports {name} and does not use it"


sources = list(files())
INTERFACES = included_from_elsewhere(sources)


def main():
    problems = list(python_problems())
    for path, text in sources:
        if path.endswith(".hpp") and "#pragma once" not in text:
            problems.append(f"{path}: misses #pragma once")
        if path.startswith("tests/"):
            continue
        for kind, target in INCLUDE.findall(text):
            rule = project_rule(path, target) if kind == '"' else third_party_rule(path, target)
            if rule:
                problems.append(f"{path}: includes {target}: {rule}")
        for folder, pattern, why in BANNED_TEXT:
            if (found := pattern.search(text)) and path.startswith(folder):
                problems.append(f"{path}: {found.group(0)}: {why}")
    for problem in problems:
        print(problem)
    print(f"include rules: {len(sources)} files, {len(problems)} problems")
    return 1 if problems or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
