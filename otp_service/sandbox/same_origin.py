"""Keeps other web sites from pressing the inbox's buttons in a developer's browser."""

from __future__ import annotations

from flask import Request, abort

_FROM_HERE = ("same-origin", "none")


def demand_same_origin(request: Request) -> None:
    """End a call with 403 that a page of another origin made, or may have made.

    Browsers say where a call comes from: in `Sec-Fetch-Site`, or else in `Origin`. A call that says neither
    passes if it is JSON: programs send that, and pages of other origins cannot without our consent.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        is_from_here = site in _FROM_HERE
    elif origin is not None:
        is_from_here = origin == request.host_url.rstrip("/")
    else:
        is_from_here = request.is_json
    if not is_from_here:
        abort(403)
