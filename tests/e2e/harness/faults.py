"""What a fault proxy may do to requests, their answers and the events of watches."""
import dataclasses
import json
import re


@dataclasses.dataclass(eq=False)
class Fault:
    """What befalls the requests that it fits: those of `method`, whose path and query hold the regular expression `path`, watches or not (None: both); at most
    `times` of them (None: all), and of them the `share` that is drawn."""
    name: str
    path: str = ""
    method: str = None
    watch: bool = None
    times: int = None
    share: float = 1.0
    status: int = None      # answered instead of what the server would say, with `body`
    body: bytes = b""
    headers: tuple = ()
    wait: float = 0         # seconds before the request is passed on
    refuse: bool = False    # the connection is cut instead of an answer, the server never hears of it
    lose: bool = False      # the server does it, but the connection is cut instead of its answer
    rate: float = None      # bytes of the answer's body per second
    cut_after: int = None   # bytes of the answer's body, then the connection is cut
    end_after: int = None   # events, then the stream ends as servers end it
    stall_after: int = None  # events, then nothing more comes
    edit: object = None     # makes an object whose feed(line) answers the lines to send instead, and whose held() those kept back for long enough

    def fits(self, method, target, watch, draw):
        return (self.times != 0 and (self.method in (None, method)) and (self.watch is None or self.watch == watch) and re.search(self.path, target) is not None
                and draw() < self.share)


def answer(status, body=b"", content_type="text/plain; charset=utf-8", headers=(), **fits):
    body = body.encode() if isinstance(body, str) else body
    return Fault(f"answer {status}", status=status, body=body, headers=(("Content-Type", content_type), *headers), **fits)


def too_many_requests(retry_after=1, **fits):
    """As priority and fairness says it: plain text."""
    return answer(429, "Too many requests, please try again later.\n", headers=(("Retry-After", str(retry_after)),), **fits)


def server_error(status=503, retry_after=None, **fits):
    headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
    return answer(status, "the server is currently unable to handle the request\n", headers=headers, **fits)


def html(status=200, **fits):
    """What a login page or somebody else's proxy says."""
    return answer(status, "<!doctype html><html><body>Please sign in</body></html>\n", "text/html", **fits)


def event_error(code, reason, message="injected", retry_after=None, **fits):
    """A watch that is answered 200 with one ERROR event, as outdated positions are."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}
    if retry_after is not None:
        status["details"] = {"retryAfterSeconds": retry_after}
    return answer(200, json.dumps({"type": "ERROR", "object": status}) + "\n", "application/json", watch=True, **fits)


class duplicate:
    """Every event comes twice."""
    def feed(self, line):
        return [line, line]

    def held(self):
        return []


class swap:
    """Every two events that come together, or within 0.3 s, change places."""
    def __init__(self):
        self.kept = None

    def feed(self, line):
        if self.kept is None:
            self.kept = line
            return []
        kept, self.kept = self.kept, None
        return [line, kept]

    def held(self):
        kept, self.kept = self.kept, None
        return [kept] if kept else []


def inject(*lines):
    """An `edit` that sends `lines` (bytes, complete) before the first event."""
    class injector:
        def __init__(self):
            self.rest = list(lines)

        def feed(self, line):
            rest, self.rest = self.rest, []
            return [*rest, line]

        def held(self):
            rest, self.rest = self.rest, []
            return rest
    return injector
