"""A server that takes connections and says nothing, as a host behind a dead firewall does."""
import selectors
import socket
import threading


class Silent:
    """Silent until it is closed, and then gone with all its connections; it may be closed again."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port, self.taken = self.listener.getsockname()[1], 0
        self.ours, self.theirs = socket.socketpair()  # what ends the thread
        self.selector = selectors.DefaultSelector()
        for each in (self.listener, self.theirs):
            self.selector.register(each, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.theirs:
                    return
                if key.fileobj is self.listener:
                    self.selector.register(self.listener.accept()[0], selectors.EVENT_READ)
                    self.taken += 1
                elif not heard(key.fileobj):
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()

    def count(self):
        """How many connections were taken so far."""
        return self.taken

    def close(self):
        if not self.thread.is_alive():
            return
        self.ours.close()
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


def heard(connection):
    """Whether the other end goes on; what it says is thrown away."""
    try:
        return connection.recv(65536) != b""
    except OSError:
        return False
