"""A small web server with range requests, run as a process of its own: `range_server.py ROOT [no-ranges]`.

In the process that reads it would wait for ever: rasterio holds the interpreter while it asks.
`/!log` gives and empties the list of [method, path, bytes sent], `/!busy/N` lets the next N be refused.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        if self.path == "/!log":
            text = json.dumps(self.server.log).encode()
            self.server.log.clear()
            self.send(200, text)
        elif self.path.startswith("/!busy/"):
            self.server.busy = int(self.path.split("/")[-1])
            self.send(200, b"")
        else:
            self.answer(with_body=True)

    def answer(self, *, with_body):
        path = self.server.root / self.path.split("?")[0].lstrip("/")
        if with_body and self.server.busy:
            self.server.busy -= 1
            self.send(503, b"")
        elif not path.is_file():
            self.send(404, b"")
        else:
            self.send_file(path.read_bytes(), with_body=with_body)

    def send_file(self, content, *, with_body):
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not (self.server.ranges and found and with_body):
            self.send(200, content, with_body=with_body)
            return
        first, last = int(found[1]), min(int(found[2] or len(content)), len(content) - 1)
        place = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        self.send(206, content[first : last + 1], place)

    def send(self, code, content, headers=None, *, with_body=True):
        if not self.path.startswith("/!"):  # before the reader can have its answer
            self.server.log.append([self.command, self.path, len(content) if with_body else 0])
        self.send_response(code)
        for name, value in {"Content-Length": len(content), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if with_body:
            self.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # the reader has hung up


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    server.root, server.ranges = Path(sys.argv[1]), "no-ranges" not in sys.argv
    server.log, server.busy = [], 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)  # noqa: T201 - this is how it tells its port
    sys.stdin.read()  # until whoever started it is gone
