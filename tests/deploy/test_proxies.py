"""The proxies of docs/operations.md: their files load, and forged headers do not change the client IP."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from attacks.target import ORIGIN, PUBLISHABLE_KEY, with_browser
from support.deployment import Deployment, new_phone, running_service
from support.doc_blocks import ROOT, Block, blocks
from support.proxies import KINDS, Proxy, check_config, running_proxy
from support.redis_servers import Server, closed_port
from support.waiting import eventually

from otp_service.domain.crypto import Keyring
from otp_service.settings import load

SOURCE = "127.0.0.7"
"""The client's IP address, which differs from those of the proxy and the service."""

SAMPLED = {
    "nginx": "nginx/otp-service.conf",
    "haproxy": "haproxy/haproxy.cfg",
    "caddyfile": "caddy/Caddyfile",
    "yaml": "traefik/traefik.yml",
}
"""The file in deploy/ that a sample in the docs is copied from, by the language of its code block."""

LIES = ("198.51.100.9", "203.0.113.9")
SPELLINGS = (
    "X-Forwarded-For",
    "X_Forwarded_For",
    "X-Forwarded_For",
    "X_Forwarded-For",
    "x_forwarded_for",
    "X_FORWARDED_FOR",
)

Lines = list[tuple[str, str]]


def ordinary() -> Lines:
    return [
        ("Authorization", f"Bearer {PUBLISHABLE_KEY}"),
        ("Origin", ORIGIN),
        ("Content-Type", "application/json"),
    ]


def forgeries() -> dict[str, Lines]:
    """Return the headers of calls that name other addresses: each spelling in each position, and several."""
    first, *rest = ordinary()
    found: dict[str, Lines] = {"none": [first, *rest]}
    for name in SPELLINGS:
        lie, other = (name, LIES[0]), (name, f"{LIES[1]}, {LIES[0]}")
        found[f"{name} first"] = [lie, first, *rest]
        found[f"{name} amid"] = [first, lie, *rest]
        found[f"{name} last"] = [first, *rest, lie]
        found[f"{name} first and last"] = [lie, first, *rest, other]
    for turn in range(len(SPELLINGS)):
        turned = SPELLINGS[turn:] + SPELLINGS[:turn]
        lies = [(name, LIES[number % 2]) for number, name in enumerate(turned)]
        found[f"all, {turned[0]} ahead"] = [*lies[:3], first, *rest, *lies[3:]]
    found["named in Connection"] = [
        ("Connection", "close, X-Forwarded-For, X_Forwarded_For"),
        *found["X_Forwarded_For last"],
    ]
    return found


FORGERIES = forgeries()


@dataclass
class Recorder:
    """A server that records the headers of each call, and answers 204 or nothing."""

    port: int
    calls: list[Lines] = field(default_factory=list)


@contextmanager
def recording(*, answers: bool = True) -> Iterator[Recorder]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            recorder.calls.append(self.headers.items())
            if answers:
                self.send_response(204)
                self.end_headers()
            else:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        recorder = Recorder(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class ProxySetup:
    """Two proxies of one kind: *proxy* in front of the service, *bare* in front of a recorder."""

    proxy: Proxy
    service: Deployment
    bare: Proxy
    recorder: Recorder


@pytest.fixture(scope="module")
def service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    def change(text: str) -> str:
        return with_browser(text).replace("[service]\n", "[service]\nproxy_hops = 1\n", 1)

    with running_service(redis_server, tmp_path_factory.mktemp("service"), change=change) as running:
        yield running


@pytest.fixture(scope="module", params=list(KINDS))
def proxy_setup(request: pytest.FixtureRequest, service: Deployment) -> Iterator[ProxySetup]:
    port = int(service.url.rsplit(":", 1)[1])
    with (
        recording() as recorder,
        running_proxy(request.param, [port, port]) as proxy,
        running_proxy(request.param, [recorder.port, recorder.port]) as bare,
    ):
        yield ProxySetup(proxy, service, bare, recorder)


def addresses_of(service: Deployment, phone: str) -> list[str]:
    """Return the address hashes in the log lines of the calls for that phone."""
    phone_hash = keyring_of(service).phone_hash(phone)

    def found() -> list[str]:
        lines = [json.loads(line) for line in service.log.read_text("utf-8").splitlines(keepends=True)[:-1]]
        return [
            line["client_ip_hash"]
            for line in lines
            if line["event"] == "http_request" and line.get("phone_hash") == phone_hash
        ]

    assert eventually(found, 10)
    return found()


def keyring_of(service: Deployment) -> Keyring:
    return load(service.log.parent / "config.toml", {}).keyring()


@pytest.mark.parametrize("lines", FORGERIES.values(), ids=FORGERIES)
def test_a42_forged_header_does_not_change_the_client_ip(proxy_setup: ProxySetup, lines: Lines) -> None:
    phone = new_phone()
    body = json.dumps({"phone": phone, "purpose": "login"}).encode()

    answer = proxy_setup.proxy.call_with("POST", "/otp/request", body, lines, source=SOURCE)

    counted = base64.urlsafe_b64encode(keyring_of(proxy_setup.service).ip_hash(SOURCE)).decode()
    assert answer.status in (201, 403), answer.text
    assert addresses_of(proxy_setup.service, phone) == [counted]


@pytest.mark.parametrize("lines", FORGERIES.values(), ids=FORGERIES)
def test_a42_proxy_drops_underscores_and_forwards_one_address(proxy_setup: ProxySetup, lines: Lines) -> None:
    answer = proxy_setup.bare.call_with("POST", "/otp/request", b"{}", lines, source=SOURCE)

    names = [name.lower() for name, _ in proxy_setup.recorder.calls[-1]]
    assert answer.status == 204
    assert [name for name in names if "_" in name] == []
    assert [value for name, value in proxy_setup.recorder.calls[-1] if name.lower() == "x-forwarded-for"] == [
        SOURCE
    ]
    assert {"authorization", "origin", "content-type"} <= set(names)


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/metrics", "/"])
def test_proxy_serves_only_the_paths_of_the_api(proxy_setup: ProxySetup, path: str) -> None:
    assert proxy_setup.proxy.call("GET", path).status == 404


TWO = [name for name, kind in KINDS.items() if kind.instances == 2]


@pytest.mark.parametrize("name", TWO)
def test_post_is_sent_once_even_if_the_instance_never_answers(name: str) -> None:
    """Repeating `/otp/request` could send two SMS."""
    with (
        recording(answers=False) as first,
        recording(answers=False) as second,
        running_proxy(name, [first.port, second.port]) as proxy,
    ):
        answers = [proxy.call_with("POST", "/otp/request", b"{}", ordinary()) for _ in range(6)]

    assert [answer.status for answer in answers] == [502] * 6
    assert len(first.calls) + len(second.calls) == 6
    assert first.calls
    assert second.calls


@pytest.mark.parametrize("name", TWO)
def test_post_goes_to_the_other_instance_while_one_refuses_connections(name: str) -> None:
    with recording() as other, running_proxy(name, [closed_port(), other.port]) as proxy:
        answers = [proxy.call_with("POST", "/otp/request", b"{}", ordinary()) for _ in range(6)]

    assert [answer.status for answer in answers] == [204] * 6
    assert len(other.calls) == 6


@pytest.mark.parametrize("name", KINDS)
def test_file_of_deploy_is_accepted_by_its_proxy(name: str) -> None:
    ran = check_config(name)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "[warn]" not in ran.stderr
    assert "[WARNING]" not in ran.stderr


SAMPLES = [
    (block, file)
    for block in blocks("docs/operations.md")
    for language, file in SAMPLED.items()
    if block.language == language
]


@pytest.mark.parametrize(("block", "file"), SAMPLES, ids=lambda value: str(getattr(value, "language", value)))
def test_sample_of_operations_md_is_in_the_file_of_deploy(block: Block, file: str) -> None:
    text = (ROOT / "deploy" / file).read_text("utf-8")

    assert plain(block.text) in plain(text)


def test_operations_md_has_a_sample_for_each_proxy() -> None:
    assert {file for _, file in SAMPLES} == set(SAMPLED.values())


def test_traefik_file_names_the_option_that_drops_aliases() -> None:
    """Traefik is in no package, so its file is only read."""
    entry = yaml.safe_load((ROOT / "deploy" / "traefik" / "traefik.yml").read_text("utf-8"))["entryPoints"]

    assert entry["websecure"]["http"] == {"aliasHeadersStrategy": "delete"}
    assert "forwardedHeaders" not in entry["websecure"]


def plain(text: str) -> str:
    """Return the text without its margins and empty lines."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
