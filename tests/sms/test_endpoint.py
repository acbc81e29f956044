from __future__ import annotations

import pytest

from otp_service.sms.endpoint import BadEndpoint, Endpoint


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        ("https://dysmsapi.aliyuncs.com", "https://dysmsapi.aliyuncs.com/", "dysmsapi.aliyuncs.com"),
        ("https://dysmsapi.aliyuncs.com:443/", "https://dysmsapi.aliyuncs.com/", "dysmsapi.aliyuncs.com"),
        ("https://example.org:8443", "https://example.org:8443/", "example.org:8443"),
        ("HTTPS://Example.ORG", "https://example.org/", "example.org"),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081/", "127.0.0.1:8081"),
        ("http://127.8.8.8", "http://127.8.8.8/", "127.8.8.8"),
        ("http://localhost:80", "http://localhost/", "localhost"),
        ("http://[::1]:8081", "http://[::1]:8081/", "[::1]:8081"),
    ],
)
def test_endpoint_is_parsed(text: str, url: str, host: str) -> None:
    endpoint = Endpoint.read(text)

    assert (endpoint.url, endpoint.host) == (url, host)


@pytest.mark.parametrize(
    "text",
    [
        "http://dysmsapi.aliyuncs.com",
        "http://10.0.0.1:8081",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "dysmsapi.aliyuncs.com",
        "ftp://dysmsapi.aliyuncs.com",
        "https://",
        "https://user:secret@dysmsapi.aliyuncs.com",
        "https://dysmsapi.aliyuncs.com/path",
        "https://dysmsapi.aliyuncs.com/?query",
        "https://dysmsapi.aliyuncs.com/#fragment",
        "https://dysmsapi.aliyuncs.com:port",
        "https://[::1",
        "",
    ],
)
def test_other_endpoint_is_rejected_without_quoting_it(text: str) -> None:
    with pytest.raises(BadEndpoint) as error:
        Endpoint.read(text)
    assert "secret" not in str(error.value)
