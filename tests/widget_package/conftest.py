"""The packed npm packages, installed once for all tests of a process."""

from __future__ import annotations

import pytest
from support.npm_packages import Project, make_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("npm"))
