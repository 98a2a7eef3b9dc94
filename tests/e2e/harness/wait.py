"""Waiting for conditions, with deadlines."""
import contextlib
import socket
import time

LONG = 60  # seconds: far more than anything takes on a slow machine with other work
reserved = []  # sockets that hold the ports of `free_port` until this process ends


def wait_for(probe, what, seconds=LONG, pause=0.02):
    """The first true answer of `probe`; fails after `seconds`, saying what was waited for and what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = probe()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}; last seen: {seen!r}")
        time.sleep(pause)


def stays(probe, what, seconds, pause=0.2):
    """That `probe` is true now and keeps so for `seconds`: for what must not happen, which nothing announces."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = probe()
        if not seen:
            raise AssertionError(f"not so any more: {what}; seen: {seen!r}")
        time.sleep(pause)


def free_port():
    """A port of 127.0.0.1 for one server, or for none: who connects is refused. It stays bound here, so that nobody is given it, as listener or as client;
    a server that sets SO_REUSEADDR, as all do, can listen on it all the same, and again after its restart."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    reserved.append(holder)
    return holder.getsockname()[1]


def accepts(port):
    with contextlib.closing(socket.socket()) as client:
        client.settimeout(LONG)
        return client.connect_ex(("127.0.0.1", port)) == 0
