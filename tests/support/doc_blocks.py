"""The code blocks of the README files and the docs, and why tests/docs does not run some of them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

DOCUMENT_PATHS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "examples", "clients")
"""Files and folders with documents. The Chinese ones have the same blocks; a test compares them."""

_BLOCK = re.compile(r"^(?P<margin> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One code block."""

    document: str
    line: int
    language: str
    text: str

    @property
    def first_line(self) -> str:
        """The first line of its text."""
        return self.text.strip().splitlines()[0]


SAMPLES = "tests/deploy/test_proxies.py::test_sample_of_operations_md_is_in_the_file_of_deploy"
INSTALLED = "tests/widget_package/test_packed.py::test_packages_install_as_their_readme_says"
SITES = "tests/widget_package/test_in_chromium.py::"
BUNDLED = f"{SITES}test_element_works_in_a_bundle"
IN_REACT = f"{SITES}test_react_application_hydrates_server_output"
IN_VUE = f"{SITES}test_vue_application_hydrates_server_output"
SAME_AS_IN_THE_PACKAGE = f"{SITES}test_programs_in_the_docs_match_the_package"
IN_OTHER_LANGUAGES = "tests/docs/test_clients.py::test_program_verifies_a_phone_and_shows_a_rejection"

MAKE_TARGETS = "tests/docs/test_commands.py::test_make_targets_in_the_docs_exist"
UPGRADE = "tests/e2e/test_upgrade.py::test_commands_of_the_docs_switch_the_release_and_clear_the_version"

RUN_BY: dict[tuple[str, str], str] = {
    # (document, beginning of the block): the test that runs it
    ("clients/python/README.md", "pip install"): "tests/client/test_package.py"
    "::test_client_installs_without_the_service",
    ("README.md", "make test"): MAKE_TARGETS,
    ("README.md", "otp-service init"): "tests/docs/test_production.py"
    "::test_commands_of_the_readme_write_a_valid_configuration",
    ("README.md", "python3 -m venv"): "tests/docs/test_production.py::test_installation_of_the_readme_works",
    ("clients/js/README.md", "npm install"): INSTALLED,
    ("clients/widget/README.md", "npm install"): INSTALLED,
    ("clients/widget/README.md", 'import "@otp-service/widget"'): BUNDLED,
    ("clients/widget/README.md", "import { CN, SG, US }"): BUNDLED,
    ("clients/widget/README.md", "<form"): BUNDLED,
    ("clients/widget/README.md", "import { useRef }"): IN_REACT,
    ("clients/widget/README.md", "<script setup>"): IN_VUE,
    ("docs/embedding.md", "import { useRef }"): SAME_AS_IN_THE_PACKAGE,
    ("docs/embedding.md", "<script setup>"): SAME_AS_IN_THE_PACKAGE,
    ("docs/clients.md", "package main"): IN_OTHER_LANGUAGES,
    ("docs/clients.md", "import java.net.URI"): IN_OTHER_LANGUAGES,
    ("docs/clients.md", "<?php"): IN_OTHER_LANGUAGES,
    ("docs/operations.md", "otp-service serve"): "tests/docs/test_production.py"
    "::test_reload_line_reloads_only_a_valid_configuration",
    ("docs/operations.md", "otp-service check-config"): "tests/docs/test_production.py"
    "::test_reload_line_reloads_only_a_valid_configuration",
    ("docs/operations.md", "# nginx in front"): SAMPLES,
    ("docs/operations.md", '# Overwrite the header, which "option forwardfor"'): SAMPLES,
    ("docs/operations.md", "# Caddy in front"): SAMPLES,
    (
        "docs/deployment.md",
        "mkdir -p",
    ): "tests/deploy/test_compose.py::test_commands_in_the_docs_create_secrets",
    ("docs/deployment.md", "image:"): "tests/deploy/test_helm.py::test_values_of_the_docs_are_accepted",
    (
        "docs/own-flask-app.md",
        "import atexit",
    ): "tests/web/test_own_flask_app.py::test_examples_of_the_docs_run",
    ("docs/own-flask-app.md", "@require_proof"): "tests/docs/test_programs.py"
    "::test_view_that_handles_rejections_itself",
    ("docs/production.md", "python3 -m venv"): "tests/docs/test_production.py"
    "::test_installation_in_production_md_matches_the_readme",
    ("docs/production.md", "otp-service init"): "tests/docs/test_production.py"
    "::test_init_in_the_docs_writes_a_valid_configuration",
    (
        "docs/production.md",
        "pip wheel",
    ): "tests/docs/test_production.py::test_command_in_the_docs_builds_the_wheel",
    (
        "docs/production.md",
        "useradd",
    ): "tests/docs/test_production.py::test_commands_in_the_docs_enable_the_unit",
    ("docs/production.md", "journalctl"): "tests/docs/test_production.py"
    "::test_command_in_the_docs_reads_the_journal",
    ("docs/releasing.md", "make version"): MAKE_TARGETS,
    ("docs/releasing.md", "make EXTRA=deploy"): MAKE_TARGETS,
    ("docs/releasing.md", "make release-check"): MAKE_TARGETS,
    ("docs/releasing.md", "make update-lock"): MAKE_TARGETS,
    ("docs/releasing.md", "pip install"): "tests/distribution/test_server_package.py"
    "::test_service_installs_with_hashes_as_the_docs_say",
    ("docs/reports.md", "otp-service consume-reports"): "tests/docs/test_commands.py"
    "::test_report_worker_runs_until_it_is_stopped",
    ("docs/operations.md", "otp-service redis-acl"): "tests/docs/test_commands.py"
    "::test_redis_user_is_created_on_a_server_and_on_a_sentinel",
    ("docs/risk-challenge.md", "import { solveChallenge }"): "tests/captcha/test_docs_examples.py"
    "::test_altchas_own_solver_solves_a_challenge",
    ("docs/risk-challenge.md", "import hashlib"): "tests/captcha/test_docs_examples.py"
    "::test_other_captcha_decides",
    ("docs/risk-challenge.md", "import os"): "tests/captcha/test_docs_examples.py"
    "::test_application_with_another_captcha_is_created_as_documented",
    ("docs/sandbox.md", "from otp_service.sandbox"): "tests/sandbox/test_docs_examples.py"
    "::test_python_example_runs",
    ("docs/sandbox.md", "from dataclasses import replace"): "tests/sandbox/test_docs_examples.py"
    "::test_python_example_runs",
    ("docs/sandbox.md", "const SMSClient"): "tests/sandbox/test_docs_examples.py"
    "::test_sdk_example_sends_an_sms",
    ("docs/sandbox.md", "const { $OpenApiUtil }"): "tests/sandbox/test_docs_examples.py"
    "::test_sdk_example_sends_an_sms",
    ("docs/sandbox.md", "from alibabacloud"): "tests/sandbox/test_docs_examples.py"
    "::test_sdk_example_sends_an_sms",
    ("docs/sandbox.md", "from aliyunsdkcore"): "tests/sandbox/test_docs_examples.py"
    "::test_sdk_example_sends_an_sms",
    ("docs/upgrading.md", "ln -sfnT"): UPGRADE,
    ("docs/upgrading.md", "curl --fail"): UPGRADE,
    ("docs/upgrading.md", "redis-cli GET"): UPGRADE,
    ("examples/express/README.md", "make example"): MAKE_TARGETS,
}

NO_ENGINE = "no container engine is available; tests/deploy runs what the files start"
NO_CLUSTER = "no cluster is available; tests/deploy renders the chart"

NOT_RUN: dict[tuple[str, str], str] = {
    # (document, beginning of the block): the reason why no test can run it
    ("docs/deployment.md", "docker build"): NO_ENGINE,
    ("docs/deployment.md", "docker compose -f deploy/compose.yaml up"): NO_ENGINE,
    ("docs/deployment.md", "docker compose -f deploy/compose.yaml build"): NO_ENGINE,
    ("docs/deployment.md", "kubectl"): NO_CLUSTER,
    ("docs/deployment.md", "helm install"): NO_CLUSTER,
    (
        "docs/operations.md",
        "# The entry point in Traefik's",
    ): "no package contains Traefik; tests/deploy parses its file",
    (
        "docs/risk-challenge.md",
        '<script type="module">',
    ): "altcha's own widget is not among the test packages",
}


def documents() -> list[str]:
    """Return the paths of the documents, relative to the root."""
    found = [path for name in DOCUMENT_PATHS for path in _markdown(ROOT / name)]
    return sorted(
        str(path.relative_to(ROOT))
        for path in found
        if "node_modules" not in path.parts and not path.name.endswith(".zh-CN.md")
    )


def _markdown(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("*.md"))


def blocks(document: str) -> list[Block]:
    """Return the blocks of a document in order."""
    text = (ROOT / document).read_text("utf-8")
    return [
        Block(
            document,
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            textwrap.dedent(found["text"]),
        )
        for found in _BLOCK.finditer(text)
    ]


def reason_not_run_here(block: Block) -> str | None:
    """Return the test that runs the block, or why no test does; None if tests/docs runs it."""
    reasons = [
        why
        for (where, begins), why in (RUN_BY | NOT_RUN).items()
        if where == block.document and block.first_line.startswith(begins)
    ]
    return reasons[0] if reasons else None


def blocks_to_run(*languages: str) -> list[Block]:
    """Return all blocks in *languages* that tests/docs runs."""
    found = [block for document in documents() for block in blocks(document)]
    return [block for block in found if block.language in languages and not reason_not_run_here(block)]
