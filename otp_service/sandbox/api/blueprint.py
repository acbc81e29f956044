"""The HTTP endpoint of the APIs: authenticates a request, runs its action and sends the response."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Mapping

from flask import Blueprint, Response, request

from otp_service.sandbox.api.request import ApiRequest
from otp_service.sandbox.api.responses import (
    ApiError,
    ApiResponse,
    ConnectionDropped,
    RawResponse,
    error_response,
    new_request_id,
    render,
)
from otp_service.sandbox.api.verifier import Verifier
from otp_service.sandbox.state import Action, SandboxState, require_params

VERSION = "2017-05-25"

#: Linger for zero seconds: closing the socket discards unsent data and sends a reset.
_RESET = struct.pack("ii", 1, 0)


def api_blueprint(state: SandboxState, verifier: Verifier, actions: Mapping[str, Action]) -> Blueprint:
    """Serve *actions* under their names at `/`."""
    blueprint = Blueprint("api", __name__)

    @blueprint.route("/", methods=["GET", "POST"], provide_automatic_options=False)
    def call() -> Response:
        request_id = new_request_id()
        api_request = ApiRequest.from_flask(request)
        try:
            response = _run_action(api_request, state, verifier, actions)
        except ApiError as error:
            response = error_response(error, request_id, request.host)
        except ConnectionDropped as drop:
            connection = request.environ.get("werkzeug.socket")
            return Response(drop_connection(connection, reset=drop.reset))
        return render(response, request_id, api_request.action if api_request.wants_xml else None)

    return blueprint


def _run_action(
    api_request: ApiRequest, state: SandboxState, verifier: Verifier, actions: Mapping[str, Action]
) -> ApiResponse | RawResponse:
    verifier.verify(api_request)
    require_params({"Action": api_request.action, "Version": api_request.version}, "Action", "Version")
    action = actions.get(api_request.action)
    if action is None:
        raise ApiError("InvalidAction.NotFound")
    if api_request.version != VERSION:
        raise ApiError("InvalidVersion")
    return action(state, api_request.params)


def drop_connection(connection: object, *, reset: bool) -> Iterator[bytes]:
    """Close *connection* without a response.

    This is a response body that fails before its first byte, so that the server writes no headers either.
    """
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):  # The client may have closed it already.
            _reset(connection) if reset else connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError
    yield b""  # Makes this a generator, which runs when the server iterates over the body.


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    # The server shuts its socket down in an orderly way before it closes it, which would prevent the reset.
    # dup2 closes the real connection at once and gives the server another socket to shut down.
    here, there = socket.socketpair()
    with here, there:
        os.dup2(here.fileno(), connection.fileno())
