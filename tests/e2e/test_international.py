"""`country = "international"` on a route of Aliyun's, from the request to the verified code."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from support.deployment import Deployment, new_phone, running_service
from support.redis_servers import Server

from otp_service.sandbox.config import DEFAULT_INTERNATIONAL_TEMPLATES

TEMPLATE = min(DEFAULT_INTERNATIONAL_TEMPLATES)


@pytest.fixture(scope="module")
def service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    def change(text: str) -> str:
        text = text.replace("[service]", '[service]\ncountries = ["CN", "HK"]', 1)
        text = text.replace('purpose = "', 'country = "CN"\npurpose = "')
        return f'{text}\n[[routes.templates]]\ncountry = "international"\ntemplate_code = "{TEMPLATE}"\n'

    with running_service(redis_server, tmp_path_factory.mktemp("service"), change=change) as deployment:
        yield deployment


def test_code_for_a_number_outside_the_mainland_is_sent_and_verified(service: Deployment) -> None:
    phone = f"+8525123{secrets.randbelow(10**4):04d}"

    response = service.request(phone)
    assert response.status == 201
    (message,) = service.inbox(phone)
    assert message["template_code"] == TEMPLATE
    approved = service.verify(phone, response.body["verification_id"], message["code"])
    assert (approved.status, approved.body["phone"]) == (200, phone)


def test_mainland_number_gets_a_template_of_the_mainland(service: Deployment) -> None:
    phone = new_phone()

    assert service.request(phone).status == 201
    assert service.inbox(phone)[0]["template_code"] != TEMPLATE
