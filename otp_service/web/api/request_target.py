"""The request target: a call is served only at its path and method as they are documented.

Proxies decide by path, so every other spelling of a path (`//otp/redeem`, `/otp/%72edeem`, a slash at the
end, an absolute URL) would lead past their rules. Flask drops leading slashes and takes methods in lower
case, and every server decodes the path before an application sees it. Most servers also hand over the
request target as it was sent: gunicorn as `RAW_URI`, werkzeug, uWSGI and mod_wsgi as `REQUEST_URI`.
"""

from __future__ import annotations

from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import MethodNotAllowed

from otp_service.domain.errors import NotFound


def check(environ: WSGIEnvironment) -> None:
    """Refuse a request whose path or method is not spelled exactly, though the router has found its view.

    Raises:
        NotFound: the path is spelled in another way.
        MethodNotAllowed: the method has lower-case letters.
    """
    prefix, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
    if not path.startswith("/") or path.endswith("/") or "//" in prefix + path:
        raise NotFound
    sent = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if sent is not None and not _is_as_sent(sent.partition("?")[0], prefix, path):
        raise NotFound
    method = environ["REQUEST_METHOD"]
    if method != method.upper():
        raise MethodNotAllowed([method.upper()])


def _is_as_sent(sent: str, prefix: str, path: str) -> bool:
    """Tell whether *sent* is *path*, behind the whole *prefix* or what the server saw of it.

    A proxy that strips a prefix has it put back by middleware: then it is in SCRIPT_NAME only.
    """
    return sent.endswith(path) and (prefix + path).endswith(sent)
