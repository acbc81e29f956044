"""Addresses of others, as settings give them: https, or plain http to this machine."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from otp_service.settings.issues import ConfigIssue

_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64
"""As https://github.com/standard-webhooks/standard-webhooks demands."""

_MIN_DIFFERENT = 8
"""Different bytes in a secret: 24 random ones have never had fewer."""


def endpoint_issue(url: str, *, local_only: bool = False) -> str:
    """Tell what keeps *url* from being an endpoint, which has no path; nothing when it is one."""
    parts = _bare(url)
    if parts is None or parts.path not in ("", "/"):
        return "must be https://host, without a path"
    if local_only and not _is_loopback(parts.hostname or ""):
        return "must be this machine: the sandbox is no public service"
    return _scheme_issue(parts)


def webhook_url_issue(url: str) -> str:
    """Tell what keeps *url* from being a webhook's, which may have a path; nothing when it is one."""
    parts = _bare(url)
    if parts is None or not _PATH.fullmatch(parts.path):
        return "must be https://host/path, without a query"
    return _scheme_issue(parts)


def _scheme_issue(parts: SplitResult) -> str:
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        return "must be https: plain http is for this machine only"
    return ""


def _bare(url: str) -> SplitResult | None:
    """Return the parts of an http URL of scheme, host, perhaps a port, and path; nothing of other texts."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    plain = f"[{host}]" if ":" in host else host
    bare = plain if port is None else f"{plain}:{port}"
    if not _HOST.fullmatch(host) and ":" not in host:
        return None
    is_bare = parts.netloc.lower() == bare and not parts.query + parts.fragment
    return parts if host and is_bare and parts.scheme in ("http", "https") else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def webhook_issues(where: str, url: str, secret: SecretStr | None) -> Iterator[ConfigIssue]:
    """Tell what is wrong with a webhook whose two settings are *where* with `url` and `secret` behind it."""
    if issue := webhook_url_issue(url) if url else "is required":
        yield ConfigIssue(f"{where}url", issue)
    if issue := _secret_issue(secret.get_secret_value() if secret else ""):
        yield ConfigIssue(f"{where}secret", issue)


def _secret_issue(text: str) -> str:
    if not text:
        return "is required"
    key = _decoded(text)
    if not text.startswith(PREFIX) or not key:
        return f"must be {PREFIX} and base64"
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        return f"must hold {MIN_BYTES} to {MAX_BYTES} random bytes"
    return "" if len(set(key)) >= _MIN_DIFFERENT else "is not random"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
