"""The request target: a route matches only its exact path and method.

Proxies apply their rules by path. Any other notation of a path (`//otp/redeem`, `/otp/%72edeem`, a trailing
slash, an absolute URL) could bypass these rules. Flask removes leading slashes and accepts methods in lower
case, and every server decodes the path before an application sees it. Most servers also pass on the request
target as it was sent: gunicorn as `RAW_URI`; werkzeug, uWSGI and mod_wsgi as `REQUEST_URI`.
"""

from __future__ import annotations

from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import MethodNotAllowed

from otp_service.domain.errors import NotFound


def check(environ: WSGIEnvironment) -> None:
    """Reject a request that was routed although its path or method is not in the exact notation.

    Raises:
        NotFound: the path has another notation.
        MethodNotAllowed: the method has lower-case letters.
    """
    prefix, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
    if not path.startswith("/") or path.endswith("/") or "//" in prefix + path:
        raise NotFound
    sent = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if sent is not None and not _is_exact(sent.partition("?")[0], prefix, path):
        raise NotFound
    method = environ["REQUEST_METHOD"]
    if method != method.upper():
        raise MethodNotAllowed([method.upper()])


def _is_exact(sent: str, prefix: str, path: str) -> bool:
    """Check that *sent* is *path* after the whole *prefix*, or after the part of it that the server saw.

    If a proxy strips a prefix and a middleware restores it, the prefix is in SCRIPT_NAME only.
    """
    return sent.endswith(path) and (prefix + path).endswith(sent)
