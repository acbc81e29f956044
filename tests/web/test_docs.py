"""docs/api.md describes the whole API, and its examples are accepted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from otp_service.web.api import json_body, schemas
from otp_service.web.api.problems import STATUSES
from otp_service.web.api.routes import ENDPOINTS, Endpoint
from otp_service.web.api.schemas import RequestModel
from otp_service.web.pages import PAGES

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
EXAMPLES = re.findall(r"curl -s \$URL(\S+) .*? -d '(.*?)'", TEXT, re.DOTALL)


def test_every_route_is_described() -> None:
    headings = re.findall(r"^## POST (\S+)$", TEXT, re.MULTILINE)

    assert headings == [call.path for call in ENDPOINTS]
    assert [path for path in PAGES if f"`GET {path}`" not in TEXT] == []


@pytest.mark.parametrize("call", ENDPOINTS, ids=lambda call: call.name)
def test_every_field_is_described(call: Endpoint) -> None:
    models = [call.body, schemas.SentSms, *(model for model in call.responses.values() if model)]

    assert [name for model in models for name in model.model_fields if f"`{name}`" not in TEXT] == []


def test_every_problem_is_described_with_its_status() -> None:
    rows = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", TEXT, re.MULTILINE))

    assert rows == {(str(status), error.code) for error, status in STATUSES.items()}


def test_every_call_has_an_example_that_is_accepted() -> None:
    models: dict[str, type[RequestModel]] = {call.path: call.body for call in ENDPOINTS}

    assert {path for path, _ in EXAMPLES} == set(models)
    for path, example in EXAMPLES:
        assert models[path].read(json_body.parse(example.encode()))


def test_every_json_example_is_json() -> None:
    blocks = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)

    assert len(blocks) == 7
    for block in blocks:
        assert json.loads(block if block.startswith("{") else f"{{{block}}}")
