"""Secret files: a secret `x` may lie in the file that `x_file` names. Touches the file system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from otp_service.settings.mistakes import Mistake, place

SUFFIX = "_file"

REDIS_FILES = ("password_file", "sentinel_password_file", "ca_file", "cert_file", "key_file")
"""Read at each connection, so that what lies in them can change without a restart."""

Json = dict[str, Any]


def read_secret_files(raw: Json) -> Iterator[Mistake]:
    """Replace every `x_file` of *raw* by `x`, its content; tell which files cannot be read.

    Which places may hold a file: `redis.url`, `keys.tag_key`, every root, the two of `reports`, every
    client's `proof_keys` (one a line), the parts of a route's account, and the `secret` of its webhook.
    """
    for path, table, names, read in _places(raw):
        for name in names(table):
            yield from _replace(path, table, name, read)


def unreadable_files(raw: Json) -> Iterator[Mistake]:
    """Tell which files cannot be read that are read again whenever Redis is connected."""
    table = _table(raw.get("redis"))
    for name in REDIS_FILES:
        file = table.get(name)
        if isinstance(file, str) and not _can_be_read(file):
            yield Mistake(place(("redis", name)), "names a file that cannot be read")


def _can_be_read(file: str) -> bool:
    try:
        Path(file).read_bytes()
    except (OSError, ValueError):
        return False
    return True


def _replace(
    path: tuple[str | int, ...], table: Json, name: str, read: Callable[[str], object]
) -> Iterator[Mistake]:
    file = table.pop(name + SUFFIX)
    where = place((*path, name + SUFFIX))
    if name in table:
        yield Mistake(where, "is given beside the secret itself")
        return
    if not isinstance(file, str):
        yield Mistake(where, "must be the path of a file")
        return
    try:
        table[name] = read(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield Mistake(where, "names a file that cannot be read")


def _places(
    raw: Json,
) -> Iterator[tuple[tuple[str | int, ...], Json, Callable[[Json], list[str]], Callable[[str], object]]]:
    keys = _table(raw.get("keys"))
    yield ("redis",), _table(raw.get("redis")), _only("url"), str.strip
    yield ("keys",), keys, _only("tag_key"), str.strip
    yield ("keys", "roots"), _table(keys.get("roots")), _every, str.strip
    yield ("reports",), _table(raw.get("reports")), _only("secret", "uplink_secret"), str.strip
    for name, client in _table(raw.get("clients")).items():
        yield ("clients", name), _table(client), _only("proof_keys"), str.split
    for number, route in enumerate(_list(raw.get("routes"))):
        account = _only(
            "access_key_id",
            "access_key_secret",
            "security_token",
            "second_access_key_id",
            "second_access_key_secret",
            "secret",
        )
        yield ("routes", number), _table(route), account, str.strip


def _only(*names: str) -> Callable[[Json], list[str]]:
    return lambda table: [name for name in names if name + SUFFIX in table]


def _every(table: Json) -> list[str]:
    return [key.removesuffix(SUFFIX) for key in table if key.endswith(SUFFIX)]


def _table(value: object) -> Json:
    """Return *value* if it is a table; what is wrong with it otherwise is told by the validation."""
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()
