"""One call of the API as it came over the wire, decoded; made from a Flask request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Request

_FORM = "application/x-www-form-urlencoded"

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ApiRequest:
    """A call: everything that a signature may cover, and what an action reads."""

    method: str
    query: Pairs
    form: Pairs
    #: Under lower-case names.
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def from_flask(cls, request: Request) -> ApiRequest:
        """Read a Flask *request*: the raw body first, as reading the form consumes it."""
        body = request.get_data(cache=True)
        has_form = request.mimetype == _FORM
        return cls(
            method=request.method,
            query=tuple(request.args.items(multi=True)),
            form=tuple(request.form.items(multi=True)) if has_form else (),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )

    @property
    def params(self) -> dict[str, str]:
        """The parameters by name; of a name that is repeated the first one counts."""
        return dict(reversed((*self.query, *self.form)))

    @property
    def is_v3(self) -> bool:
        """Whether it is signed with V3 (or like it); all else is taken for V1."""
        return self.headers.get("authorization", "").startswith("ACS3-")

    @property
    def action(self) -> str:
        """The name of the action that is called."""
        return self._common("x-acs-action", "Action")

    @property
    def version(self) -> str:
        """The version of the API that is called."""
        return self._common("x-acs-version", "Version")

    @property
    def wants_xml(self) -> bool:
        """Whether the answer is to be XML: V1's default; V3 names a type in `Accept`."""
        if self.is_v3:
            return "xml" in self.headers.get("accept", "")
        return self.params.get("Format", "").lower() != "json"

    def _common(self, header: str, param: str) -> str:
        source = self.headers if self.is_v3 else self.params
        return source.get(header if self.is_v3 else param, "")
