"""Secrets in settings: what makes a text a valid secret, and the files that contain secrets."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import ssl
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from otp_service.domain.crypto import MIN_SECRET_BYTES
from otp_service.settings.issues import FILE, ConfigIssue, place

EXAMPLE = b"example"
"""Every decoded secret of `config.example.toml` begins with this word."""

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
"""A key with fewer different bytes is rejected. 32 random bytes practically always have more."""


def text_issue(text: str, *, may_have_spaces: bool = False) -> str:
    """Return why *text* cannot be a secret of any kind; empty if it can."""
    if is_quoted(text):
        return "is enclosed in quotes, which are not part of it"
    if len(text.splitlines()) > 1:
        return "contains more than one line"
    if any(unicodedata.category(character).startswith("C") for character in text):
        return "contains a control character or an invisible one"
    allowed = " " if may_have_spaces else ""
    if text != text.strip() or any(c.isspace() and c not in allowed for c in text):
        return "contains white space"
    return "is a placeholder: replace it with the real value" if is_placeholder(text) else ""


def is_quoted(text: str) -> bool:
    """Return whether *text* is enclosed in quotes."""
    if len(text) < len("''"):
        return False
    first, last = text[0], text[-1]
    return (first == last and first in _QUOTES[0]) or any(first + last == pair for pair in _QUOTES[1:])


def is_placeholder(text: str) -> bool:
    """Return whether *text* is a placeholder, such as `<your-key>` or `xxx`."""
    return _PLACEHOLDER.fullmatch(text) is not None


def decoded(secret: SecretStr) -> bytes:
    """Return the bytes of a secret in base64 (either alphabet, padded or not) or hex.

    Raises:
        ValueError: it is neither; the message does not contain it.
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
    """Return the bytes of a secret whose text is the key itself, as login backends use it."""
    return secret.get_secret_value().encode()


def key_issues(secret: SecretStr, read: Callable[[SecretStr], bytes]) -> Iterator[str]:
    """Yield what is wrong with the key that *read* returns for *secret*."""
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
        yield "is not random: generate a new one"


def forms(secret: SecretStr) -> frozenset[bytes]:
    """Return every key that the text can be read as, to find secrets that are used twice."""
    try:
        return frozenset({plain(secret), decoded(secret)})
    except ValueError:
        return frozenset({plain(secret)})


def is_example(secret: SecretStr) -> bool:
    """Return whether *secret* was copied from the example configuration."""
    return any(form.startswith(EXAMPLE) for form in forms(secret))


_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # must come first: it begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

_SECRETS = (
    ("redis", "url"),
    ("keys", "pseudonym_key"),
    ("keys", "roots", "*"),
    ("reports", "secret"),
    ("reports", "inbound_sms_webhook_secret"),
    ("clients", "*", "proof_keys"),
    ("routes", "[]", "access_key_id"),
    ("routes", "[]", "access_key_secret"),
    ("routes", "[]", "security_token"),
    ("routes", "[]", "second_access_key_id"),
    ("routes", "[]", "second_access_key_secret"),
    ("routes", "[]", "secret"),
)
"""Settings that can be read from files; `*` is every key of a table, `[]` every item of a list."""

_PUBLIC = {"access_key_id", "second_access_key_id"}
"""Those of `_SECRETS` that are not secret."""

_LISTS = {"proof_keys"}
"""Those of `_SECRETS` that are lists: their files contain one item per line."""

_PASSWORD_FILES = ("password_file", "sentinel_password_file")
_REDIS_FILES = (*_PASSWORD_FILES, "ca_file", "cert_file", "key_file")
"""Files that are read at each connection, so that they can change without a restart."""

Json = dict[str, Any]
Where = tuple[str | int, ...]


class UnreadableFile(Exception):
    """A file cannot be used; *reason* completes the sentence "it …" and shows none of its content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_text(path: Path) -> str:
    """Return the text of the file at *path* without its byte order mark.

    Raises:
        UnreadableFile: it cannot be read, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError):  # a NUL in the path raises ValueError
        raise UnreadableFile("cannot be read") from None
    for mark, encoding in _OTHER_ENCODINGS:
        if data.startswith(mark):
            raise UnreadableFile(f"is not UTF-8 text but {encoding}: save it as UTF-8")
    if b"\0" in data:
        raise UnreadableFile("is not UTF-8 text but binary or UTF-16: save it as UTF-8")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UnreadableFile("is not UTF-8 text: save it as UTF-8") from None


def read_secret_files(raw: Json) -> Iterator[ConfigIssue]:
    """Replace every `x_file` in *raw* by `x` with its content; yield the files that cannot be used."""
    for where, table, name in [secret for secret in _secrets(raw) if secret[2] + FILE in secret[1]]:
        file = table.pop(name + FILE)
        at = place((*where, name + FILE))
        if name in table:
            yield ConfigIssue(at, "is set in addition to the secret itself")
        elif not isinstance(file, str):
            yield ConfigIssue(at, "must be the path of a file")
        else:
            try:
                table[name] = _read_secret(file, is_list=name in _LISTS)
            except UnreadableFile as error:
                yield ConfigIssue(at, error.reason)


def unusable_redis_files(raw: Json) -> Iterator[ConfigIssue]:
    """Yield files of `[redis]` that cannot be used. They are read again at each connection."""
    for name in _REDIS_FILES:
        for _, redis, _ in _settings(raw, ("redis", name)):
            if isinstance(redis.get(name), str):
                try:
                    _check_redis_file(name, redis)
                except UnreadableFile as error:
                    yield ConfigIssue(f"redis.{name}", error.reason)


def secret_files(raw: Json) -> Iterator[tuple[str, Path]]:
    """Yield every setting in *raw* that names a file with a secret, and the file."""
    named = [(where, table, name + FILE) for where, table, name in _secrets(raw) if name not in _PUBLIC]
    for name in (*_PASSWORD_FILES, "key_file"):
        named += _settings(raw, ("redis", name))
    for where, table, name in named:
        if isinstance(table.get(name), str):
            yield place((*where, name)), Path(table[name])


def holds_secrets(raw: Json) -> bool:
    """Return whether *raw* itself contains a secret. A URL of Redis without a password is not one."""
    secrets = [(where, table.get(name)) for where, table, name in _secrets(raw) if name not in _PUBLIC]
    codes = [table.get("code") for _, table, _ in _settings(raw, ("test_phones", "[]", "code"))]
    return any(codes) or any(
        bool(secret) and (where != ("redis",) or "@" in str(secret)) for where, secret in secrets
    )


def _secrets(raw: Json) -> Iterator[tuple[Where, Json, str]]:
    for path in _SECRETS:
        yield from _settings(raw, path)


def _settings(raw: Any, path: Sequence[str], where: Where = ()) -> Iterator[tuple[Where, Json, str]]:
    """Yield the settings at *path*, set or not: the path of their table, the table, and the name.

    Values that should be tables or lists and are not are reported by the validation.
    """
    step, *rest = path
    if not rest and isinstance(raw, dict):
        names = dict.fromkeys(key.removesuffix(FILE) for key in raw) if step == "*" else [step]
        yield from ((where, raw, name) for name in names)
    elif isinstance(raw, dict):
        for key in raw if step == "*" else raw.keys() & {step}:
            yield from _settings(raw[key], rest, (*where, key))
    elif isinstance(raw, list) and step == "[]":
        for number, item in enumerate(raw):
            yield from _settings(item, rest, (*where, number))


def _read_secret(file: str, *, is_list: bool) -> str | list[str]:
    text = _read(file).strip()
    items = text.split() if is_list else [text]
    if issue := next(filter(None, map(text_issue, items)), ""):
        raise UnreadableFile(f"names a file whose text {issue}")
    if not text:
        raise UnreadableFile("names an empty file")
    return items if is_list else text


def _read(file: str) -> str:
    try:
        return read_text(Path(file))
    except UnreadableFile as error:
        raise UnreadableFile(f"names a file that {error.reason}") from None


def _check_redis_file(name: str, redis: Json) -> None:
    file, cert = redis[name], redis.get("cert_file")
    if name in _PASSWORD_FILES:
        text = _read(file).strip()
        if issue := text_issue(text, may_have_spaces=True):
            raise UnreadableFile(f"names a file whose text {issue}")
        if not text:
            raise UnreadableFile("names an empty file")
        return
    try:
        Path(file).read_bytes()
    except (OSError, ValueError):
        raise UnreadableFile("names a file that cannot be read") from None
    context = ssl.create_default_context()
    try:
        if name == "ca_file":
            context.load_verify_locations(file)
        elif name == "key_file" and isinstance(cert, str):
            context.load_cert_chain(cert, file, password="")  # otherwise OpenSSL asks for it on the terminal
    except (ssl.SSLError, OSError, ValueError):
        what = "certificates in PEM" if name == "ca_file" else "the key of redis.cert_file in PEM"
        raise UnreadableFile(f"names a file that does not contain {what}") from None
