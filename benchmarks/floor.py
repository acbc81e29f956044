"""The floor: what a bare Flask endpoint costs that runs one script of the same size: `attempt.lua` itself.

It reads JSON and answers with JSON as every Flask view does, and calls the script through redis-py as its
documentation shows; whatever the service costs beyond that is the service's own work.
"""

from __future__ import annotations

import os
from base64 import b64decode

import flask
import redis

from otp_service.store.scripts import script


def create_app() -> flask.Flask:
    """Return an application with one endpoint, as small as it can be."""
    app = flask.Flask("floor")
    client = redis.Redis.from_url(os.environ["FLOOR_REDIS_URL"])
    sha = client.script_load(script("attempt").source)

    @app.post("/floor")
    def floor() -> flask.Response:
        body = flask.request.get_json()
        arguments = [*body["arguments"], b64decode(body["digest"])]
        reply = client.evalsha(sha, 2, *body["keys"], *arguments)
        return flask.jsonify(status=reply[0].decode(), purpose=reply[1].decode())

    return app
