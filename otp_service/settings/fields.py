"""The base class of all settings tables, and the types of their fields: secrets, hosts, countries, URLs."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from otp_service.domain.phone import COUNTRIES
from otp_service.settings.issues import ConfigIssue, checked, invalid
from otp_service.settings.secret_settings import text_issue


class Config(BaseModel):
    """A table of settings. It is frozen and rejects unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, validate_default=True
    )


Secret = Annotated[SecretStr, checked(text_issue)]
"""A text that is never shown, without enclosing quotes, white space or invisible characters."""

Phrase = Annotated[SecretStr, checked(partial(text_issue, may_have_spaces=True))]
"""A secret that may contain spaces between words."""

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


def _host_issue(host: str) -> str:
    try:
        ip_address(host)
    except ValueError:
        if not _HOST_NAME.fullmatch(host) or _DOTTED.fullmatch(host):
            return "must be an address or a host name, like 0.0.0.0 or ::1, without scheme, port or brackets"
    return ""


_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*")
_DOTTED = re.compile(r"[0-9.]+")

Host = Annotated[str, checked(_host_issue)]


def _network_issue(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        return "must be an IP address, or a CIDR range without host bits"
    return ""


Network = Annotated[str, checked(_network_issue)]
"""An IP address or a CIDR range."""


_MEANT = {
    "GB": ("UK", "EN", "ENG", "GBR", "ENGLAND", "BRITAIN", "GREAT BRITAIN", "UNITED KINGDOM", "44"),
    "US": ("USA", "AMERICA", "UNITED STATES", "1"),
    "CN": ("CHN", "CHINA", "PRC", "ZH", "ZH-CN", "ZH_CN", "中国", "86"),
    "HK": ("HKG", "HONGKONG", "HONG KONG", "ZH-HK", "香港", "852"),
    "MO": ("MAC", "MACAO", "MACAU", "澳门", "853"),
    "TW": ("TWN", "TAIWAN", "ZH-TW", "台湾", "886"),
    "JP": ("JPN", "JAPAN", "JA", "日本", "81"),
    "KR": ("KOR", "KOREA", "SOUTH KOREA", "KO", "韩国", "82"),
    "SG": ("SGP", "SINGAPORE", "新加坡", "65"),
    "MY": ("MYS", "MALAYSIA", "马来西亚", "60"),
    "TH": ("THA", "THAILAND", "泰国", "66"),
    "VN": ("VNM", "VIETNAM", "VIET NAM", "越南", "84"),
    "ID": ("IDN", "INDONESIA", "62"),
    "PH": ("PHL", "PHILIPPINES", "63"),
    "IN": ("IND", "INDIA", "91"),
    "DE": ("DEU", "GER", "GERMANY", "49"),
    "FR": ("FRA", "FRANCE", "33"),
    "ES": ("ESP", "SPAIN", "34"),
    "IT": ("ITA", "ITALY"),
    "CH": ("CHE", "SWITZERLAND", "SUI", "41"),
    "GR": ("GRC", "GREECE", "EL", "30"),
    "CA": ("CAN", "CANADA"),
    "AU": ("AUS", "AUSTRALIA", "61"),
    "NZ": ("NZL", "NEW ZEALAND", "64"),
    "RU": ("RUS", "RUSSIA", "7"),
    "UA": ("UKR", "UKRAINE", "380"),
    "AE": ("ARE", "UAE", "971"),
    "BR": ("BRA", "BRAZIL", "55"),
    "MX": ("MEX", "MEXICO", "52"),
}
_HINTS = {text: code for code, texts in _MEANT.items() for text in texts}


def hint(text: str) -> str:
    """Return the code of the country that *text* probably means; empty if there is none."""
    folded = text.strip().removeprefix("+").upper()
    return folded if folded in COUNTRIES else _HINTS.get(folded, "")


def country(text: str) -> str:
    """Return *text*, the ISO code of a country.

    Raises:
        PydanticCustomError: it is not one.
    """
    if text in COUNTRIES:
        return text
    meant = f": write {code}" if (code := hint(text)) else ', like "CN"'
    raise invalid(f"must be a country code of two capital letters (ISO 3166){meant}")


Country = Annotated[str, AfterValidator(country)]


_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")

_NOT_ASCII = "must be ASCII, as in HTTP headers: write the host as xn--…, and percent-encode other letters"

WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of all such secrets
MIN_WEBHOOK_SECRET_BYTES, MAX_WEBHOOK_SECRET_BYTES = 24, 64
"""As required by https://github.com/standard-webhooks/standard-webhooks."""

_MIN_DIFFERENT_BYTES = 8
"""A secret with fewer different bytes is rejected. 24 random bytes practically always have more."""


def endpoint_issue(url: str, *, local_only: bool = False) -> str:
    """Return why *url* is not an endpoint, which has no path; empty if it is one."""
    if not url.isascii():
        return _NOT_ASCII
    parts = _bare(url)
    if parts is None or parts.path not in ("", "/"):
        return "must be https://host, without a path"
    if local_only and not _is_loopback(parts.hostname or ""):
        return "must be on this machine: the sandbox is not a public service"
    return _scheme_issue(parts)


def webhook_url_issue(url: str) -> str:
    """Return why *url* is not the URL of a webhook, which may have a path; empty if it is one."""
    if not url.isascii():
        return _NOT_ASCII
    parts = _bare(url)
    if parts is None or not _PATH.fullmatch(parts.path):
        return "must be https://host/path, without a query"
    return _scheme_issue(parts)


def _scheme_issue(parts: SplitResult) -> str:
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        return "must be https: plain http is accepted for this machine only"
    return ""


def _bare(url: str) -> SplitResult | None:
    """Split an http or https URL without user, query and fragment; None for any other text."""
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
    """Yield the issues of a webhook; its two settings are *where* followed by `url` and by `secret`."""
    if issue := webhook_url_issue(url) if url else "is required":
        yield ConfigIssue(f"{where}url", issue)
    if issue := _secret_issue(secret.get_secret_value() if secret else ""):
        yield ConfigIssue(f"{where}secret", issue)


def _secret_issue(text: str) -> str:
    if not text:
        return "is required"
    key = _decoded(text)
    if not text.startswith(WEBHOOK_SECRET_PREFIX) or not key:
        return f"must be {WEBHOOK_SECRET_PREFIX} and base64"
    if not MIN_WEBHOOK_SECRET_BYTES <= len(key) <= MAX_WEBHOOK_SECRET_BYTES:
        return f"must hold {MIN_WEBHOOK_SECRET_BYTES} to {MAX_WEBHOOK_SECRET_BYTES} random bytes"
    return "" if len(set(key)) >= _MIN_DIFFERENT_BYTES else "is not random: generate a new one"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(WEBHOOK_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
