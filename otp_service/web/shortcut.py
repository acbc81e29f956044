"""The shortcut: the two calls of every login reach their views past Flask's contexts. Touches nothing.

Flask makes a request, an application and a session available to every view, asks its hooks and looks the
address up: a quarter of a verify, for views that look at the environment of the request only. All other
requests take the ordinary way; so does every request where the service is mounted in an application of
somebody else's, whose hooks must be asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from otp_service.web.blueprint import framed_call
from otp_service.web.calls import CALLS
from otp_service.web.parts import WebParts

CALLED_OFTEN = frozenset({"request", "verify"})


class Shortcut:
    """A WSGI application around *app*, whose calls are made of *parts*."""

    def __init__(self, app: WSGIApplication, parts: WebParts) -> None:
        self._app = app
        self._views = {
            ("POST", call.path): framed_call(parts, call) for call in CALLS if call.name in CALLED_OFTEN
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        view = self._views.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if view is None:
            return self._app(environ, start_response)
        return view(environ)(environ, start_response)
