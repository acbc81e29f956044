"""Secrets as a configuration spells them: long enough, random, no example."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterator

from pydantic import SecretStr

from otp_service.domain.crypto import MIN_SECRET_BYTES

EXAMPLE = b"example"
"""Every secret of `config.example.toml` begins with this word, once it is decoded."""

_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){32,}")
_QUOTES = ('"' + "'`", "“”", "‘’", "«»", "「」", "＂＂")
_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|\{.*\}|\$\{\w+\}|\$[A-Z_]+|%[A-Z_]+%|[x*._…-]{3,}|.*x{6,}.*"
    r"|(?:your|您的|你的)[-_ ]?(?:.*[-_ ])?(?:id|key|secret|token|name|signature|password|host|短信签名|签名)"
    r"|(?:.*[-_ ])?(?:change|replace)[-_ ]?(?:me|this|it)(?:[-_ ].*)?"
    r"|todo|tbd|fixme|none|null|undefined|placeholder|redacted",
    re.IGNORECASE,
)
_MIN_DIFFERENT = 8
"""Different bytes in a key: 32 random ones have never had fewer."""


def text_issue(text: str, *, may_have_spaces: bool = False) -> str:
    """Tell what keeps *text* from being a secret, whatever it is for; nothing when it may be one."""
    if is_quoted(text):
        return "is written in quotes, which are no part of it"
    if len(text.splitlines()) > 1:
        return "holds more than one line"
    if any(unicodedata.category(character).startswith("C") for character in text):
        return "holds a control character or an invisible one"
    allowed = " " if may_have_spaces else ""
    if text != text.strip() or any(c.isspace() and c not in allowed for c in text):
        return "holds white space"
    return "is a placeholder: put the real value in its place" if is_placeholder(text) else ""


def is_quoted(text: str) -> bool:
    """Tell whether quotes stand around *text*."""
    if len(text) < len("''"):
        return False
    first, last = text[0], text[-1]
    return (first == last and first in _QUOTES[0]) or any(first + last == pair for pair in _QUOTES[1:])


def is_placeholder(text: str) -> bool:
    """Tell whether *text* stands for a value that somebody has yet to fill in, like `<your-key>` or `xxx`."""
    return _PLACEHOLDER.fullmatch(text) is not None


def decoded(secret: SecretStr) -> bytes:
    """Return the bytes that base64 (either alphabet, padded or not) or hex text stands for.

    Raises:
        ValueError: it is neither; the message does not show it.
    """
    text = secret.get_secret_value()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64 or hex") from None


def plain(secret: SecretStr) -> bytes:
    """Return the bytes of a secret whose text is the key itself, as a login backend uses it too."""
    return secret.get_secret_value().encode()


def key_issues(secret: SecretStr, read: Callable[[SecretStr], bytes]) -> Iterator[str]:
    """Tell what is wrong with a key that *read* makes of *secret*."""
    if not secret.get_secret_value():
        yield "is required"
        return
    try:
        key = read(secret)
    except ValueError as error:
        yield str(error)
        return
    if len(key) < MIN_SECRET_BYTES:
        yield f"is too short: at least {MIN_SECRET_BYTES} random bytes are needed"
    elif len(set(key)) < _MIN_DIFFERENT:
        yield "is not random"


def forms(secret: SecretStr) -> frozenset[bytes]:
    """Return every key that this text could be taken for, to find secrets that are used twice."""
    try:
        return frozenset({plain(secret), decoded(secret)})
    except ValueError:
        return frozenset({plain(secret)})


def is_example(secret: SecretStr) -> bool:
    """Tell whether *secret* was copied from the example configuration."""
    return any(form.startswith(EXAMPLE) for form in forms(secret))
