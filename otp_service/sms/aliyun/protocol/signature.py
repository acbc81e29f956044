"""The two request signatures of Aliyun's RPC APIs.

V1 is HMAC-SHA1 ("SignatureVersion 1.0" on the wire, "V2" in the newer manuals):
https://help.aliyun.com/zh/sdk/product-overview/v2-request-structure-and-signature

V3 is ACS3-HMAC-SHA256:
https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature

Parameters are pairs of *decoded* names and values. To verify a request, decode what was received and encode
it again here, because clients differ in how they encode a space, `!`, `(`, `)` and `*`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

V1_METHOD = "HMAC-SHA1"
V1_VERSION = "1.0"
V3_ALGORITHM = "ACS3-HMAC-SHA256"

_V3_AUTHORIZATION = re.compile(rf"{V3_ALGORITHM} Credential=([^,]*),SignedHeaders=([^,]*),Signature=([^,]*)")


_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
_ENCODED = {byte: quote(bytes([byte]), safe="~") for byte in range(256)}


def percent_encode(text: str) -> str:
    """Percent-encode *text* as Aliyun does: only `A-Z a-z 0-9 - _ . ~` stay unchanged."""
    # Latin-1 maps each byte to a character, which `translate` replaces; it takes half as long as `quote`.
    return text if _UNRESERVED.fullmatch(text) else text.encode().decode("latin-1").translate(_ENCODED)


def canonical_query(params: Iterable[tuple[str, str]]) -> str:
    """Return *params* sorted and encoded, as both sides sign them."""
    return "&".join(f"{percent_encode(name)}={percent_encode(value)}" for name, value in sorted(params))


def v1_string_to_sign(method: str, params: Iterable[tuple[str, str]]) -> str:
    """Return the text that V1 signs.

    Args:
        method: The HTTP method, `GET` or `POST`.
        params: All parameters of the query and the form; `Signature` is ignored.
    """
    return v1_string_over(method, canonical_query(pair for pair in params if pair[0] != "Signature"))


def v1_string_over(method: str, query: str) -> str:
    """Return the text that V1 signs for the canonical *query*."""
    # An encoded query contains no other characters to encode; this is twenty times faster than encoding.
    encoded = query.replace("%", "%25").replace("&", "%26").replace("=", "%3D")
    return f"{method}&%2F&{encoded}"


def v1_signature(secret: str, string_to_sign: str) -> str:
    """Sign with V1. The result is Base64 and must still be percent-encoded."""
    mac = hmac.digest(f"{secret}&".encode(), string_to_sign.encode(), hashlib.sha1)
    return base64.b64encode(mac).decode()


def body_sha256(body: bytes) -> str:
    """Hash a request body for `x-acs-content-sha256`; an empty body has a hash, too."""
    return hashlib.sha256(body).hexdigest()


def v3_canonical_request(
    method: str,
    query: Iterable[tuple[str, str]],
    signed_headers: Mapping[str, str],
    content_sha256: str,
) -> str:
    """Return the canonical request of V3.

    Args:
        method: The HTTP method.
        query: The parameters of the query string, decoded.
        signed_headers: The signed headers under lower-case names: `host`, every `x-acs-*`,
            `content-type` if present, and any other.
        content_sha256: The result of `body_sha256` for the body.
    """
    names = sorted(signed_headers)
    headers = "".join(f"{name}:{signed_headers[name].strip()}\n" for name in names)
    return "\n".join((method, "/", canonical_query(query), headers, ";".join(names), content_sha256))


def v3_string_to_sign(canonical_request: str) -> str:
    """Return the text that V3 signs."""
    return f"{V3_ALGORITHM}\n{body_sha256(canonical_request.encode())}"


def v3_signature(secret: str, string_to_sign: str) -> str:
    """Sign with V3. The result is lower-case hex; the key is the unmodified secret."""
    return hmac.digest(secret.encode(), string_to_sign.encode(), hashlib.sha256).hex()


def v3_authorization(access_key_id: str, signed_headers: Iterable[str], signature: str) -> str:
    """Return the `Authorization` header of V3; `parse_v3_authorization` parses it."""
    names = ";".join(sorted(signed_headers))
    return f"{V3_ALGORITHM} Credential={access_key_id},SignedHeaders={names},Signature={signature}"


@dataclass(frozen=True)
class V3Authorization:
    """The content of a V3 `Authorization` header."""

    access_key_id: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_v3_authorization(header: str) -> V3Authorization:
    """Parse the output of `v3_authorization`.

    Raises:
        ValueError: *header* does not have that form.
    """
    match = _V3_AUTHORIZATION.fullmatch(header)
    if match is None:
        raise ValueError("not an ACS3-HMAC-SHA256 authorization")
    access_key_id, names, signature = match.groups()
    return V3Authorization(access_key_id, tuple(names.split(";")), signature)
