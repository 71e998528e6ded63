"""A real server for webhooks, on this machine."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any

from standardwebhooks import Webhook as Verifier

from .shop import SECRET


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str = SECRET) -> Any:
        """The body, if the signature is right."""
        return Verifier(secret).verify(self.body, self.headers)


Answer = int | Callable[[BaseHTTPRequestHandler], None]


class Receiver:
    """Keeps what it is sent, and answers as it was told; the last answer is given again and again."""

    def __init__(self, answers: list[Answer], context: ssl.SSLContext | None) -> None:
        self.requests: Queue[Request] = Queue()
        self._answers = answers

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:
                body = handler.rfile.read(int(handler.headers["content-length"]))
                headers = {name.lower(): value for name, value in handler.headers.items()}
                self.requests.put(Request(handler.path, headers, body))
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if callable(answer):
                    answer(handler)
                else:
                    handler.send_response(answer)
                    handler.send_header("content-length", "0")
                    handler.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64

        self.server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that went away
        self.scheme = "http" if context is None else "https"
        self.port = self.server.server_address[1]
        self.url = f"{self.scheme}://127.0.0.1:{self.port}/hooks?key=from-the-url"

    def next(self) -> Request:
        return self.requests.get(timeout=20)

    def got(self) -> list[Request]:
        """All that came and was not asked for yet."""
        return [self.requests.get() for _ in range(self.requests.qsize())]


@contextmanager
def receiving(*answers: Answer, context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(list(answers) or [204], context)
    thread = Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()
