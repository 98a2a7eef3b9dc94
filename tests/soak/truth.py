"""What must be so once faults and changes have stopped: every object's status, and every row of the cache, against git."""
import collections
import concurrent.futures
import json

from harness.daemon import query, veranda

from world import NOWHERE


class Truth:
    """Compares; remembers scans, as git stands still meanwhile. What is wrong is a list of sentences."""

    def __init__(self, world, foreign):
        self.world, self.foreign, self.scans = world, foreign, {}

    def expected(self, item):
        """Number of the repository that an object can be synced with; None when it must be in error."""
        git = item["spec"]["git"]
        return None if git["branch"] == NOWHERE else self.world.remotes.number_of(git["repo"])

    def scan_all(self, items):
        wanted = {self.place(item) for item in items if self.expected(item) is not None}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for place, found in zip(wanted, pool.map(self.scan, wanted)):
                self.scans[place] = found

    def place(self, item):
        git = item["spec"]["git"]
        return self.expected(item), git["branch"], git.get("directory", "")

    def scan(self, place):
        """The package revisions that a look without any state finds, in a form that does not depend on who asks."""
        number, branch, directory = place
        url = f"{self.world.remotes.server.url}/r{number}.git"
        done = veranda("scan", url, "--name", "NAME", "--branch", branch, "-o", "json", *(["--directory", directory] if directory else []))
        if done.returncode != 0:
            raise AssertionError(f"the scan of {place} ended with {done.returncode}: {done.stderr}")
        return frozenset(canonical(item, "NAME", url) for item in json.loads(done.stdout)["items"])

    # -- statuses

    def statuses(self, items):
        conflicts = conflicting(items)
        return [f"{name(item)}: {problem}" for item in items for problem in self.of_status(item, name(item) in conflicts)]

    def of_status(self, item, conflict):
        meta, status = item["metadata"], item.get("status", {})
        conditions = status.get("conditions", [])
        types = [c["type"] for c in conditions]
        if types[:1] != ["Ready"] or len(types) != len(set(types)):
            yield f"conditions {types}"
            return
        ready = conditions[0]
        if ready["observedGeneration"] != meta["generation"]:
            yield f"generation {meta['generation']}, Ready is of {ready['observedGeneration']}"
        if ("RepositoryConflict" in types) != conflict:
            yield f"RepositoryConflict is {'missing' if conflict else 'there'}"
        if ("ScheduleInvalid" in types) != (item["spec"].get("sync", {}).get("schedule") == "61 * * * *"):
            yield "ScheduleInvalid does not agree with the schedule"
        wanted = self.foreign.get(meta["uid"])
        if wanted and not any(c["type"] == "Audited" and c["message"] == wanted for c in conditions):
            yield "the condition that somebody else wrote is lost"
        asked = meta.get("annotations", {}).get("veranda.dev/sync-requested-at")
        if asked and status.get("lastHandledSyncRequest") != asked:
            yield f"a sync was asked for at {asked}, handled {status.get('lastHandledSyncRequest')}"
        yield from self.of_sync(item, ready, status, types)

    def of_sync(self, item, ready, status, types):
        number = self.expected(item)
        if number is None:
            if ready["status"] != "False" or ready["reason"] not in ("Error", "HostUnavailable"):
                yield f"must be in error, is {ready['reason']}: {ready['message']}"
            return
        if (ready["status"], ready["reason"]) != ("True", "Ready"):
            yield f"must be ready, is {ready['reason']}: {ready['message']}"
            return
        if "Stalled" in types or "Reconciling" in types:
            yield f"ready, and {types}"
        if status.get("observedGeneration") != item["metadata"]["generation"]:
            yield f"generation {item['metadata']['generation']}, observed {status.get('observedGeneration')}"
        commit = self.world.remotes.repositories[number].resolve("refs/heads/" + item["spec"]["git"]["branch"])
        if status.get("gitCommitHash") != commit:
            yield f"commit {status.get('gitCommitHash')}, git has {commit}"
        scanned = self.scans[self.place(item)]
        if status.get("packageCount", 0) != len(scanned):
            yield f"{status.get('packageCount', 0)} revisions, git has {len(scanned)}"

    # -- rows

    def rows(self, items):
        """The API's package revisions against scans, and owners of rows in the database against the objects there are."""
        found = collections.defaultdict(set)
        for item in self.world.daemon.items("packagerevisions"):
            found[item["metadata"]["namespace"], item["spec"]["repository"]].add(self.seen(item))
        wrong = []
        for item in items:
            key = item["metadata"]["namespace"], item["metadata"]["name"]
            have = found.pop(key, set())
            if self.expected(item) is None:
                continue  # it keeps what it had when it was last synced well
            wanted = frozenset((text, item["spec"].get("deployment", False)) for text in self.scans[self.place(item)])
            if have != wanted:
                wrong.append(f"{name(item)}: {len(have - wanted)} revisions too many or other ones, {len(wanted - have)} missing")
        wrong += [f"{'/'.join(key)}: {len(rows)} revisions of an object that is gone" for key, rows in found.items()]
        return wrong + self.owners(items)

    # -- PackageRev objects

    def objects(self, items):
        """What every PackageRev object says against the scans of its Repository. One that cannot be synced keeps what it has."""
        found = collections.defaultdict(dict)
        for item in self.world.package_revs():
            meta = item["metadata"]
            found[meta["namespace"], meta["labels"]["internal.porch.kpt.dev/repository"]][meta["name"]] = said_by(item)
        wrong = []
        for item in items:
            meta = item["metadata"]
            have = found.pop((meta["namespace"], meta["name"]), {})
            if self.expected(item) is None:
                continue
            wanted = {name: (meta["uid"], *said) for name, said in map(lambda text: said_of(text, meta["name"]), self.scans[self.place(item)])}
            if have != wanted:
                differ = sorted(name for name in have.keys() | wanted.keys() if have.get(name) != wanted.get(name))
                wrong.append(f"{name(item)}: {len(differ)} PackageRev objects, as {differ[0]}: {have.get(differ[0])} instead of {wanted.get(differ[0])}")
        return wrong + [f"{'/'.join(key)}: {len(objects)} PackageRev objects of one that is gone" for key, objects in found.items()]

    def seen(self, item):
        repo = item["status"].get("selfLock", {}).get("git", {}).get("repo", "")
        number = self.world.remotes.number_of(repo)
        url = repo if number is None else f"{self.world.remotes.server.url}/r{number}.git"
        return canonical(item, item["spec"]["repository"], url), item["status"].get("deployment", False)

    def owners(self, items):
        stored = set(query(self.world.daemon.data, "SELECT ns, name, uid FROM repositories"))
        there = {(i["metadata"]["namespace"], i["metadata"]["name"], i["metadata"]["uid"]) for i in items}
        return [f"{ns}/{of} ({uid}) has rows and no object" for ns, of, uid in stored - there] + [f"{ns}/{of} ({uid}) has no rows" for ns, of, uid in there - stored]


def said_by(item):
    """What a PackageRev object says, and whether it is held and stays."""
    meta = item["metadata"]
    notes = {key.removeprefix("veranda.dev/"): value for key, value in meta.get("annotations", {}).items() if key.startswith("veranda.dev/")}
    owners = [owner["uid"] for owner in meta.get("ownerReferences", []) if owner["kind"] == "Repository"]
    sound = "internal.porch.kpt.dev/packagerevision" in meta.get("finalizers", []) and "deletionTimestamp" not in meta
    return owners[0] if len(owners) == 1 else None, notes.get("lifecycle"), notes.get("workspace"), notes.get("revision"), notes.get("package"), sound


def said_of(text, repository):
    """The same of a scanned revision, with its name in `repository`."""
    metadata, spec, _ = json.loads(text)
    return repository + metadata["name"], (spec["lifecycle"], spec["workspaceName"], str(spec.get("revision", 0)), spec["packageName"], True)


def name(item):
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def canonical(item, repository, url):
    """One package revision as text, without what only a store knows, and without whose it is and what that is for."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in ("resourceVersion", "creationTimestamp", "uid", "namespace", "managedFields")}
    metadata["name"] = metadata["name"].removeprefix(repository)
    status = {key: value for key, value in json.loads(json.dumps(item["status"])).items() if key != "deployment"}
    if "git" in status.get("selfLock", {}):
        status["selfLock"]["git"]["repo"] = url
    return json.dumps([metadata, {**item["spec"], "repository": ""}, status], sort_keys=True)


def conflicting(items):
    """Names of those that share packages: the same remote and branch, and the same directory in one namespace, or one directory inside the other."""
    places = collections.defaultdict(list)
    for item in items:
        git = item["spec"]["git"]
        if not item["metadata"].get("deletionTimestamp"):
            places[git["repo"], git["branch"]].append((git.get("directory", ""), item["metadata"]["namespace"], name(item)))
    found = set()
    for members in places.values():
        for directory, ns, of in members:
            for other, other_ns, other_name in members:
                if other_name != of and ((other == directory and other_ns == ns) or within(directory, other) or within(other, directory)):
                    found.add(of)
    return found


def within(inner, outer):
    return inner != outer and (outer == "" or inner.startswith(outer + "/"))
