"""A provider that responds to every SendSms with OK: `provider.py PORT [SECONDS [codes]]`.

It replaces the sandbox, whose checks of signatures and templates cost as much as the service's own work.
"""

from __future__ import annotations

import json
import re
import socketserver
import sys
import time
from urllib.parse import unquote_plus

SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
"""How long a response takes."""

KEEPS_CODES = len(sys.argv) > 3
"""Whether `/codes` returns the codes of the SMS by national number."""

codes: dict[str, str] = {}

_BODY = (
    b'{"Message":"OK","RequestId":"F655A8D5-B967-440B-8683-DAD6FF8DE990",'
    b'"BizId":"900619746936498440^0","Code":"OK"}'
)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\n"
    b"Keep-Alive: timeout=25\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class Provider(socketserver.StreamRequestHandler):
    """Reads requests and responds to each."""

    def handle(self) -> None:
        while head := self._head():
            body = self.rfile.read(_content_length(head))
            if KEEPS_CODES:
                if head[0].startswith(b"get /codes "):
                    self.wfile.write(_json(codes))
                    continue
                _keep(unquote_plus((head[0] + body.lower()).decode()))
            if SECONDS:
                time.sleep(SECONDS)
            self.wfile.write(_ANSWER)

    def _head(self) -> list[bytes]:
        lines = []
        while (line := self.rfile.readline()) not in {b"\r\n", b""}:
            lines.append(line.lower())
        return lines


class Server(socketserver.ThreadingTCPServer):
    """Runs one thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512


def _keep(sent: str) -> None:
    number, code = re.search(r"phonenumbers=(?:86)?(\d+)", sent), re.search(r'"code":"(\d+)"', sent)
    if number and code:
        codes[number[1]] = code[1]


def _json(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def _content_length(head: list[bytes]) -> int:
    return next((int(line[15:]) for line in head if line.startswith(b"content-length:")), 0)


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Provider).serve_forever()
