"""Runs nginx, HAProxy and Caddy with their configuration files from deploy/, each on a free port."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.deployment import Answer
from support.doc_blocks import ROOT
from support.redis_servers import free_port, skip_or_fail

NAME = "otp.example.com"
"""The public host name in the files of deploy/."""

INSTANCES = ("127.0.0.1:8080", "127.0.0.1:8081")
"""The addresses of the instances in those files."""

DEPLOY = ROOT / "deploy"


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its *port*, and the certificate that it must present."""

    port: int
    certificate: Path

    def call(
        self, method: str, path: str, body: object = None, *, source: str = "127.0.0.1", **headers: str
    ) -> Answer:
        """Make one call over TLS, on a new connection from the IP address *source*."""
        lines = [("Content-Type", "application/json"), *headers.items()]
        return self.call_with(method, path, json.dumps(body).encode(), lines, source=source)

    def call_with(
        self,
        method: str,
        path: str,
        body: bytes,
        lines: Sequence[tuple[str, str]],
        *,
        source: str = "127.0.0.1",
    ) -> Answer:
        """Make one call with exactly these header *lines*, in addition to Host and Content-Length."""
        context = ssl.create_default_context(cafile=self.certificate)
        with (
            socket.create_connection(("127.0.0.1", self.port), 30, (source, 0)) as connection,
            context.wrap_socket(connection, server_hostname=NAME) as wrapped,
        ):
            https = http.client.HTTPConnection(NAME, timeout=30)
            https.sock = wrapped
            https.putrequest(method, path, skip_accept_encoding=True)
            for name, value in lines:
                https.putheader(name, value)
            https.putheader("Content-Length", str(len(body)))
            https.endheaders(body)
            response = https.getresponse()
            text = response.read().decode()
            is_json = "json" in (response.getheader("Content-Type") or "")
            return Answer(
                response.status,
                json.loads(text) if is_json and text else None,
                dict(response.getheaders()),
                text,
            )


@dataclass(frozen=True)
class ProxyKind:
    """A kind of proxy: its *program*, its file in deploy/, and the commands that check and run the file.

    *changes* returns the replacements that adapt the file to a test, given its directory and port.
    """

    program: str
    file: str
    changes: Callable[[Path, int], Mapping[str, str]]
    check: Callable[[Path], list[str]]
    run: Callable[[Path], list[str]]
    instances: int = 2


NGINX_FRAME = """
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {file};
}}
"""


def _nginx(file: Path, *more: str) -> list[str]:
    frame = file.parent / "nginx.conf"
    frame.write_text(NGINX_FRAME.format(directory=file.parent, file=file), encoding="utf-8")
    return ["nginx", "-p", str(file.parent), "-e", "stderr", "-c", str(frame), *more]


def _caddy(command: str, file: Path) -> list[str]:
    return ["caddy", command, "--config", str(file), "--adapter", "caddyfile"]


KINDS = {
    "nginx": ProxyKind(
        "nginx",
        "nginx/otp-service.conf",
        lambda directory, port: {
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            f"/etc/ssl/{NAME}.pem": f"{directory}/certificate.pem",
            f"/etc/ssl/private/{NAME}.key": f"{directory}/key.pem",
        },
        check=lambda file: _nginx(file, "-t"),
        run=_nginx,
    ),
    "haproxy": ProxyKind(
        "haproxy",
        "haproxy/haproxy.cfg",
        lambda directory, port: {
            "bind :443": f"bind 127.0.0.1:{port}",
            f"/etc/haproxy/{NAME}.pem": f"{directory}/both.pem",
        },
        check=lambda file: ["haproxy", "-c", "-f", str(file)],
        run=lambda file: ["haproxy", "-db", "-f", str(file)],
    ),
    "caddy": ProxyKind(
        "caddy",
        "caddy/Caddyfile",
        lambda directory, port: {
            f"{NAME} {{\n": f"{{\n\tadmin off\n\tauto_https off\n}}\n\n"
            f"https://{NAME}:{port} {{\n\tbind 127.0.0.1\n"
            f"\ttls {directory}/certificate.pem {directory}/key.pem\n",
        },
        check=lambda file: _caddy("validate", file),
        run=lambda file: _caddy("run", file),
        instances=1,
    ),
}


def make_certificate(directory: Path) -> None:
    """Write a certificate for the public name, its key, and a file with both."""
    if shutil.which("openssl") is None:
        skip_or_fail("openssl is not installed")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -batch"
    command += f" -subj /CN={NAME} -addext subjectAltName=DNS:{NAME}"
    out = ["-out", str(directory / "certificate.pem"), "-keyout", str(directory / "key.pem")]
    subprocess.run([*command.split(), *out], check=True, capture_output=True)
    both = (directory / "certificate.pem").read_text() + (directory / "key.pem").read_text()
    (directory / "both.pem").write_text(both)


def write_config(kind: ProxyKind, directory: Path, port: int, instances: Sequence[int]) -> Path:
    """Write the file from deploy/ to *directory*, with the ports and the certificate of a test."""
    text = (DEPLOY / kind.file).read_text("utf-8")
    replacements = {
        old: f"127.0.0.1:{new}" for old, new in zip(INSTANCES[: kind.instances], instances, strict=False)
    }
    for old, new in {**replacements, **kind.changes(directory, port)}.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = directory / Path(kind.file).name
    file.write_text(text, encoding="utf-8")
    return file


@contextmanager
def prepared_proxy(name: str, instances: Sequence[int]) -> Iterator[tuple[ProxyKind, Path, int]]:
    """Yield a proxy, its configuration file and its port; skip the test if the proxy is not installed."""
    kind = KINDS[name]
    if shutil.which(kind.program) is None:
        skip_or_fail(f"{kind.program} is not installed")
    directory = Path(tempfile.mkdtemp(prefix="otp-proxy-"))
    directory.chmod(0o755)  # nginx's workers run as another user
    try:
        make_certificate(directory)
        port = free_port()
        yield kind, write_config(kind, directory, port, instances), port
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def check_config(name: str) -> subprocess.CompletedProcess[str]:
    """Let the proxy check its configuration file."""
    with prepared_proxy(name, [free_port(), free_port()]) as (kind, file, _):
        return subprocess.run(
            kind.check(file), check=False, capture_output=True, text=True, env=_environment(file), timeout=60
        )


@contextmanager
def running_proxy(name: str, instances: Sequence[int]) -> Iterator[Proxy]:
    """Run a proxy in front of the instances on those ports until the block ends."""
    with prepared_proxy(name, instances) as (kind, file, port):
        log = file.parent / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                kind.run(file), stdout=output, stderr=subprocess.STDOUT, env=_environment(file)
            )
        try:
            _wait(process, port, log)
            yield Proxy(port, file.parent / "certificate.pem")
        finally:
            process.terminate()
            process.wait(timeout=20)


def _environment(file: Path) -> dict[str, str]:
    """Return an environment in which a proxy keeps its files in its own directory."""
    home = str(file.parent)
    return {"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", "HOME": home}


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"the proxy did not start:\n{log.read_text()}")
