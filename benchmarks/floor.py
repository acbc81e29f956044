"""The floor: what a bare Flask endpoint costs that runs one script of the size of `attempt.lua`.

The script reads and writes two values as large as a phone's row and a verification's record.
"""

from __future__ import annotations

import os

import flask
import redis

_PADDING = "\n".join(f"-- {'padding ' * 9}{i}" for i in range(140))  # as long as attempt.lua with its parts
_SCRIPT = f"""#!lua
{_PADDING}
local time = redis.call('TIME')
local row, record = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
redis.call('SET', KEYS[1], string.rep('r', 60), 'PX', 60000)
redis.call('SET', KEYS[2], string.rep('v', 75), 'PX', 60000)
return {{'ok', tonumber(time[1]), row and 1 or 0, record and 1 or 0}}
"""


def create_app() -> flask.Flask:
    """Return an application with one endpoint, as small as it can be."""
    app = flask.Flask("floor")
    client = redis.Redis.from_url(os.environ["FLOOR_REDIS_URL"])
    sha = client.script_load(_SCRIPT)

    @app.post("/floor")
    def floor() -> flask.Response:
        tag = flask.request.get_json()["verification_id"]
        reply = client.evalsha(sha, 2, f"floor:{{{tag}}}", f"floor:{{{tag}}}:record", tag, "argument")
        return flask.jsonify(status=reply[0].decode(), now=reply[1], found=reply[2])

    return app
