"""Secret files: a secret `x` may lie in the file that `x_file` names. Touches the file system."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otp_service.settings.mistakes import FILE, Mistake, place
from otp_service.settings.secret_text import text_fault
from otp_service.settings.text_files import UnreadableFile, read_text

PASSWORD_FILES = ("password_file", "sentinel_password_file")
REDIS_FILES = (*PASSWORD_FILES, "ca_file", "cert_file", "key_file")
"""Read at each connection, so that what lies in them can change without a restart."""

EXPOSING = (*PASSWORD_FILES, "key_file")
"""Those of them that hold a secret."""

Json = dict[str, Any]
Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that may hold secrets: its place, itself, and which settings are secret (None: all of them).

    *public* are settings that may lie in a file too, though they are no secrets.
    """

    where: Where
    content: Json
    names: tuple[str, ...] | None
    public: tuple[str, ...] = ()
    is_list: bool = False

    def files(self) -> list[str]:
        """Return the settings whose value lies in a file."""
        if self.names is None:
            return [key.removesuffix(FILE) for key in self.content if key.endswith(FILE)]
        return [name for name in (*self.names, *self.public) if name + FILE in self.content]

    def inline(self) -> list[object]:
        """Return the secrets that stand in the table itself."""
        names = self.content if self.names is None else self.names
        return [self.content[name] for name in names if self.content.get(name) and not name.endswith(FILE)]


def read_secret_files(raw: Json) -> Iterator[Mistake]:
    """Replace every `x_file` of *raw* by `x`, its content; tell which files cannot be used.

    Which places may hold a file: `redis.url`, `keys.tag_key`, every root, the two of `reports`, every
    client's `proof_keys` (one a line), the parts of a route's account, and the `secret` of its webhook.
    """
    for table in _tables(raw):
        for name in table.files():
            yield from _replace(table, name)


def files_of_redis(raw: Json) -> Iterator[Mistake]:
    """Tell which files cannot be used that are read again whenever Redis is connected."""
    table = _table(raw.get("redis"))
    for name in REDIS_FILES:
        file = table.get(name)
        if isinstance(file, str) and (fault := _fault_of(name, file, table)):
            yield Mistake(place(("redis", name)), fault)


def secret_files(raw: Json) -> Iterator[tuple[str, Path]]:
    """List every file with a secret that *raw* names, with the setting that names it."""
    for table in _tables(raw):
        for name in table.files():
            file = table.content[name + FILE]
            if isinstance(file, str) and name not in table.public:
                yield place((*table.where, name + FILE)), Path(file)
    redis = _table(raw.get("redis"))
    for name in EXPOSING:
        if isinstance(redis.get(name), str):
            yield place(("redis", name)), Path(redis[name])


def holds_secrets(raw: Json) -> bool:
    """Tell whether a secret stands in *raw* itself. An address of Redis without a password is none."""
    codes = [phone.get("code") for phone in map(_table, _list(raw.get("test_phones")))]
    found = [secret for table in _tables(raw) for secret in table.inline() if table.where != ("redis",)]
    url = _table(raw.get("redis")).get("url")
    return bool(found or any(codes) or (isinstance(url, str) and "@" in url))


def _fault_of(name: str, file: str, table: Json) -> str:
    """Tell why Redis cannot be connected with what lies in *file*; nothing when it can."""
    try:
        if name in PASSWORD_FILES:
            fault = text_fault(read_text(Path(file)).strip(), may_have_spaces=True)
            return f"names a file whose text {fault}" if fault else ""
        Path(file).read_bytes()
    except UnreadableFile as error:
        return _told_of(error)
    except (OSError, ValueError):
        return "names a file that cannot be read"
    return _fault_of_certificates(name, file, table)


def _fault_of_certificates(name: str, file: str, table: Json) -> str:
    context = ssl.create_default_context()
    try:
        if name == "ca_file":
            context.load_verify_locations(file)
        elif name == "key_file" and isinstance(table.get("cert_file"), str):
            context.load_cert_chain(table["cert_file"], file, password="")  # or it would ask the terminal
    except (ssl.SSLError, OSError, ValueError):
        what = "certificates in PEM" if name == "ca_file" else "the key, in PEM, of redis.cert_file"
        return f"names a file without {what}"
    return ""


def _replace(table: _Table, name: str) -> Iterator[Mistake]:
    content = table.content
    file = content.pop(name + FILE)
    where = place((*table.where, name + FILE))
    if name in content:
        yield Mistake(where, "is given beside the secret itself")
        return
    if not isinstance(file, str):
        yield Mistake(where, "must be the path of a file")
        return
    try:
        text = read_text(Path(file)).strip()
    except UnreadableFile as error:
        yield Mistake(where, _told_of(error))
        return
    if fault := next(filter(None, map(text_fault, text.split() if table.is_list else [text])), ""):
        yield Mistake(where, f"names a file whose text {fault}")
    elif not text:
        yield Mistake(where, "names an empty file")
    else:
        content[name] = text.split() if table.is_list else text


def _told_of(error: UnreadableFile) -> str:
    return f"names a file that {error.reason}"


def _tables(raw: Json) -> Iterator[_Table]:
    keys = _table(raw.get("keys"))
    yield _Table(("redis",), _table(raw.get("redis")), ("url",))
    yield _Table(("keys",), keys, ("tag_key",))
    yield _Table(("keys", "roots"), _table(keys.get("roots")), None)
    yield _Table(("reports",), _table(raw.get("reports")), ("secret", "uplink_secret"))
    for name, client in _table(raw.get("clients")).items():
        yield _Table(("clients", name), _table(client), ("proof_keys",), is_list=True)
    secrets = ("access_key_secret", "security_token", "second_access_key_secret", "secret")
    public = ("access_key_id", "second_access_key_id")
    for number, route in enumerate(_list(raw.get("routes"))):
        yield _Table(("routes", number), _table(route), secrets, public)


def _table(value: object) -> Json:
    """Return *value* if it is a table; what is wrong with it otherwise is told by the validation."""
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()
