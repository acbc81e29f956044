"""Keeps other web sites from pressing the inbox's buttons in a developer's browser."""

from __future__ import annotations

from flask import Request, abort

_FROM_HERE = ("same-origin", "none")


def demand_same_origin(request: Request) -> None:
    """End a call with 403 that a page of another origin made.

    Browsers say where a call comes from; programs that are none say nothing, and may do as they like.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    here = site in _FROM_HERE if site else origin in (None, request.host_url.rstrip("/"))
    if not here:
        abort(403)
