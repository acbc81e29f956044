"""TLS with a private authority, created by the tests."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis
from support.events import RecordingEvents
from support.redis_clusters import running_cluster
from support.redis_sentinels import NAME, running_sentinel
from support.redis_servers import Server, free_port, redis_binary, running, skip_or_fail
from support.store_backends import LONG_TIMEOUTS

from otp_service.domain.errors import StoreUnavailable
from otp_service.store.client import RedisOptions, TlsConnection, create_client, from_url
from otp_service.store.verifications import RedisStore

NEW_KEY = ("-newkey", "rsa:2048", "-nodes")


@dataclass(frozen=True)
class Authority:
    """An authority with its files in *folder*."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def certify(self, name: str, host: str) -> tuple[Path, Path]:
        """Return a certificate for *host*, and its key."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request
        )
        names = self.folder / f"{name}.ext"
        names.write_text(f"subjectAltName={host}\n", encoding="utf-8")
        signer = ["-CA", self.ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial"]
        openssl("x509", "-req", "-in", request, "-out", certificate, "-extfile", names, "-days", "2", *signer)
        return certificate, key


def openssl(*arguments: str | Path) -> None:
    if shutil.which("openssl") is None:
        skip_or_fail("openssl is not installed")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def authority(folder: Path) -> Authority:
    """Create a certificate authority in *folder*."""
    folder.mkdir()
    created = Authority(folder)
    files = ["-keyout", folder / "ca.key", "-out", created.ca]
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={folder.name}", "-days", "2", *files
    )
    return created


@pytest.fixture(scope="module")
def trusted_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls") / "ours")


@contextmanager
def serving_tls(trusted_authority: Authority, *more: str) -> Iterator[tuple[Server, int]]:
    """Run a Redis with a certificate of *trusted_authority*; yield it and its TLS port."""
    port = free_port()
    with running(redis_binary(), *options(trusted_authority, port), *more) as server:
        yield server, port


def options(trusted_authority: Authority, port: int) -> list[str]:
    certificate, key = trusted_authority.certify("redis", "IP:127.0.0.1")
    files = [
        "--tls-cert-file",
        str(certificate),
        "--tls-key-file",
        str(key),
        "--tls-ca-cert-file",
        str(trusted_authority.ca),
    ]
    return ["--tls-port", str(port), "--tls-auth-clients", "no", *files]


def check(url: str, terms: RedisOptions) -> None:
    RedisStore(from_url(url, terms), RecordingEvents()).check_health()


def test_configured_authority_is_trusted_and_no_other(trusted_authority: Authority, tmp_path: Path) -> None:
    with serving_tls(trusted_authority) as (_, port):
        url = f"rediss://127.0.0.1:{port}"
        check(url, replace(LONG_TIMEOUTS, ca_file=trusted_authority.ca))

        for terms in (LONG_TIMEOUTS, replace(LONG_TIMEOUTS, ca_file=authority(tmp_path / "theirs").ca)):
            with pytest.raises(StoreUnavailable):
                check(url, terms)


def test_configured_authority_replaces_those_of_the_machine(
    trusted_authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted_authority.ca))
    with serving_tls(trusted_authority) as (_, port):
        url = f"rediss://127.0.0.1:{port}"
        check(url, LONG_TIMEOUTS)

        with pytest.raises(StoreUnavailable):
            check(url, replace(LONG_TIMEOUTS, ca_file=authority(tmp_path / "theirs").ca))


class OtherRedisPy(TlsConnection):
    """A connection of a redis-py that does not call the method that sets the authority."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        wrapped: ssl.SSLSocket = redis.SSLConnection._wrap_socket_with_ssl(self, sock)
        return wrapped


def test_nothing_is_sent_when_redis_py_sets_the_authorities_itself(trusted_authority: Authority) -> None:
    with serving_tls(trusted_authority) as (_, port):
        where = {"host": "127.0.0.1", "port": port, "ssl_ca_certs": str(trusted_authority.ca)}
        with create_client(TlsConnection, LONG_TIMEOUTS, **where) as client:
            assert client.ping()

        with (
            create_client(OtherRedisPy, LONG_TIMEOUTS, **where) as client,
            pytest.raises(redis.ConnectionError, match="trusts more than the CA file"),
        ):
            client.ping()


def test_certificate_of_another_host_is_refused(trusted_authority: Authority) -> None:
    with serving_tls(trusted_authority) as (_, port), pytest.raises(StoreUnavailable):
        check(f"rediss://localhost:{port}", replace(LONG_TIMEOUTS, ca_file=trusted_authority.ca))


def test_plain_text_server_is_refused(trusted_authority: Authority, redis_server: Server) -> None:
    with pytest.raises(StoreUnavailable):
        check(redis_server.url.replace("redis://", "rediss://"), RedisOptions(ca_file=trusted_authority.ca))


def test_redis_that_requires_a_certificate_gets_ours(trusted_authority: Authority) -> None:
    certificate, key = trusted_authority.certify("service", "DNS:service")
    with serving_tls(trusted_authority, "--tls-auth-clients", "yes") as (_, port):
        url, terms = f"rediss://127.0.0.1:{port}", replace(LONG_TIMEOUTS, ca_file=trusted_authority.ca)
        check(url, replace(terms, cert_file=certificate, key_file=key))

        with pytest.raises(StoreUnavailable):
            check(url, terms)


def test_cluster_works_over_tls(trusted_authority: Authority) -> None:
    port = free_port()
    with running_cluster(redis_binary(), 1, 0, *options(trusted_authority, port), "--tls-cluster", "yes"):
        check(f"rediss+cluster://127.0.0.1:{port}", replace(LONG_TIMEOUTS, ca_file=trusted_authority.ca))


def test_sentinels_and_their_master_work_over_tls(trusted_authority: Authority) -> None:
    tls_port = free_port()
    with serving_tls(trusted_authority) as (_, port):
        own = options(trusted_authority, tls_port)
        lines = [
            f"{name.removeprefix('--')} {value}" for name, value in zip(own[::2], own[1::2], strict=True)
        ]
        lines += ["tls-replication yes", f"sentinel monitor {NAME} 127.0.0.1 {port} 1"]
        with running_sentinel(redis_binary(), "\n".join(lines)) as sentinel:
            check(
                f"rediss+sentinel://127.0.0.1:{tls_port}/{NAME}",
                replace(LONG_TIMEOUTS, ca_file=trusted_authority.ca),
            )

            with pytest.raises(StoreUnavailable):
                check(
                    f"rediss+sentinel://127.0.0.1:{sentinel.port}/{NAME}",
                    RedisOptions(ca_file=trusted_authority.ca),
                )
