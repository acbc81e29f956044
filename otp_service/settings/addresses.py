"""Addresses of others, as settings give them: https, or plain http to this machine."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")


def endpoint_fault(url: str, *, local_only: bool = False) -> str:
    """Tell what keeps *url* from being an endpoint, which has no path; nothing when it is one."""
    parts = _bare(url)
    if parts is None or parts.path not in ("", "/"):
        return "must be https://host, without a path"
    if local_only and not _is_loopback(parts.hostname or ""):
        return "must be this machine: the sandbox is no public service"
    return _scheme_fault(parts)


def webhook_fault(url: str) -> str:
    """Tell what keeps *url* from being a webhook's, which may have a path; nothing when it is one."""
    parts = _bare(url)
    if parts is None or not _PATH.fullmatch(parts.path):
        return "must be https://host/path, without a query"
    return _scheme_fault(parts)


def _scheme_fault(parts: SplitResult) -> str:
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
