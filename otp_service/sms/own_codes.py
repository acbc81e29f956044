"""The codes that this room writes itself, in the place of a provider's, in words."""

from __future__ import annotations

OWN_CODES = {
    "local.not_sent": "Nothing left this machine: no connection, no address, no trusted certificate.",
    "local.no_answer": "The request left, and no whole answer came: the SMS may have been sent.",
    "local.http_": "The answer was none of the provider's: the SMS may have been sent.",
    "local.deadline": "The time of the request was over before the provider was asked.",
    "local.not_started": "The process was stopping before the send began.",
    "local.no_route": "No route serves this client, purpose, country and locale.",
    "local.route_paused": "The route rests for a minute: an operator must act on its last refusal.",
    "local.breaker_open": "The provider did not answer lately and is left alone for some seconds.",
    "local.phone_reads_as_mainland": "Without its plus sign the number is another one's, of the mainland.",
    "local.phone": "The provider of this route sends to no such number.",
    "local.template_param": "The template's variables break Aliyun's rules for verification codes.",
    "local.crashed": "A defect of this service: the SMS may have been sent.",
    "http_": "The webhook's receiver answered with this HTTP status.",
    "destination_rejected": "The webhook's receiver sends no SMS to this number.",
}
"""By what a code begins with; of two the first."""


def explain_own(code: str) -> str:
    """Return what *code* means, or nothing when it is a provider's."""
    return next((text for start, text in OWN_CODES.items() if code.startswith(start)), "")
