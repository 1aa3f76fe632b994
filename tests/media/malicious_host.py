"""A web server on loopback that behaves badly, and a fetcher that believes it to be on the public internet: resolving and connecting are
replaced, every check in between is the real one.
"""

import contextlib
import socket
import threading

from kimi_vl.media.fetch import Fetcher, FetchPolicy

PUBLIC = "93.184.216.34"


class Host:
    """Answers each path by what `answers` says: bytes to send, or a function that takes the connection. Keeps what was asked."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        self.dialled = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            text = b""
            while b"\r\n\r\n" not in text:
                data = connection.recv(4096)
                if not data:
                    return
                text += data
            self.requests.append(text.decode())
            answer = self.answers[text.split()[1].decode()]
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)

    def connect(self, address, timeout):
        """Whatever the address, dial this server, and write down who was meant."""
        self.dialled.append(address[0])
        return socket.create_connection(self._listener.getsockname(), timeout)

    def fetcher(self, names=None, **policy):
        """A fetcher by this policy. `names` gives addresses of hosts; others are public."""
        resolve = lambda host, port: (names or {}).get(host, [PUBLIC])  # noqa: E731
        return Fetcher(FetchPolicy(**policy), resolve=resolve, connect=self.connect)

    def close(self):
        self._listener.close()
        self._thread.join(1)


def answer(body, status="200 OK", *headers, length=None):
    """The bytes of an answer; `length` lies about its body."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
