"""The HTTP door of the API: verifies a call, finds its action, writes the answer."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, request

from otp_service.sandbox.answers import Answer, Dropped, RawAnswer, Refused, new_request_id, refusal, render
from otp_service.sandbox.api_request import ApiRequest
from otp_service.sandbox.drop_connection import hang_up
from otp_service.sandbox.state import Action, SandboxState, demand
from otp_service.sandbox.verifier import Verifier

VERSION = "2017-05-25"


def api_blueprint(desk: SandboxState, verifier: Verifier, actions: Mapping[str, Action]) -> Blueprint:
    """Serve *actions* under their names at `/`."""
    blueprint = Blueprint("api", __name__)

    @blueprint.route("/", methods=["GET", "POST"], provide_automatic_options=False)
    def call() -> Response:
        request_id = new_request_id()
        said = ApiRequest.from_flask(request)
        try:
            answer = _answer(said, desk, verifier, actions)
        except Refused as error:
            answer = refusal(error, request_id, request.host)
        except Dropped as drop:
            return Response(hang_up(request.environ.get("werkzeug.socket"), resets=drop.resets))
        return render(answer, request_id, said.action if said.wants_xml else None)

    return blueprint


def _answer(
    call: ApiRequest, desk: SandboxState, verifier: Verifier, actions: Mapping[str, Action]
) -> Answer | RawAnswer:
    verifier.verify(call)
    demand({"Action": call.action, "Version": call.version}, "Action", "Version")
    action = actions.get(call.action)
    if action is None:
        raise Refused("InvalidAction.NotFound")
    if call.version != VERSION:
        raise Refused("InvalidVersion")
    return action(desk, call.params)
