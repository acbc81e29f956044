"""The floor: a minimal Flask endpoint that runs the script of a verify, `attempt.lua`.

It reads and writes JSON as every Flask view does, and calls the script through redis-py as its documentation
shows. Whatever the service costs beyond that is the service's own work.

Two more endpoints are reference points for the store's CPU: one runs a script that writes two values, the
other a script that does nothing.
"""

from __future__ import annotations

import os
from base64 import b64decode

import flask
import redis

from otp_service.store.scripts import script

TWO_WRITES = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
redis.call('SET', KEYS[2], ARGV[2], 'PX', 60000)
return {'ok'}
"""
"""The cheapest script that does any work."""

NOTHING = "return 1"
"""Costs only the round trip."""


def two_writes(client: redis.Redis, sha: str, number: int) -> None:
    """Run the script of `TWO_WRITES` once, on new keys."""
    client.evalsha(sha, 2, f"y:{{{number}}}", f"y:{{{number}}}:2", b"x" * 60, b"y" * 80)


def create_app() -> flask.Flask:
    """Return an application with three minimal endpoints."""
    app = flask.Flask("floor")
    client = redis.Redis.from_url(os.environ["FLOOR_REDIS_URL"])
    sha = client.script_load(script("attempt").source)

    @app.post("/floor")
    def floor() -> flask.Response:
        body = flask.request.get_json()
        arguments = [*body["arguments"], b64decode(body["digest"])]
        reply = client.evalsha(sha, 2, *body["keys"], *arguments)
        return flask.jsonify(status=reply[0].decode(), purpose=reply[1].decode())

    yardstick, nothing = client.script_load(TWO_WRITES), client.script_load(NOTHING)

    @app.post("/two_writes")
    def write_twice() -> flask.Response:
        two_writes(client, yardstick, flask.request.get_json()["number"])
        return flask.jsonify(status="ok")

    @app.post("/nothing")
    def do_nothing() -> flask.Response:
        client.evalsha(nothing, 1, f"y:{{{flask.request.get_json()['number']}}}")
        return flask.jsonify(status="ok")

    return app
