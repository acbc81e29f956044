"""The packed npm packages, installed: their files, on a server without a document, and their types."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from support.doc_blocks import blocks
from support.nodejs import node, package
from support.npm_packages import ELEMENT, ROOT, Project, install, link, run

HERE = Path(__file__).parent


def files_in(tarball: Path) -> list[str]:
    with tarfile.open(tarball) as archive:
        return sorted(name.removeprefix("package/") for name in archive.getnames())


def test_packages_contain_what_is_needed_and_nothing_else(project: Project) -> None:
    client, widget = (files_in(tarball) for tarball in project.tarballs.values())
    of_both = ["LICENSE", "README.md", "package.json"]
    modules = [
        "attributes.js",
        *(f"{name}{end}" for name in ENTRIES for end in (".d.ts", ".js")),
        "widget.js",
    ]
    library = [f"lib/{path.name}" for path in (ROOT / "clients" / "js" / "lib").iterdir()]

    assert client == sorted([*of_both, "index.d.ts", "index.js", *library])
    assert widget == sorted([*of_both, "custom-elements.json", *(f"dist/{name}" for name in modules)])


ENTRIES = ["countries", "index", "react", "vue"]


def test_element_is_the_file_of_the_service(project: Project) -> None:
    packed = project.installed("@otp-service/widget") / "dist" / "widget.js"

    assert packed.read_bytes() == ELEMENT.read_bytes()


@pytest.mark.parametrize(
    ("document", "name"),
    [("clients/js/README.md", "@otp-service/client"), ("clients/widget/README.md", "@otp-service/widget")],
)
def test_packages_install_as_their_readme_says(
    document: str, name: str, project: Project, tmp_path: Path
) -> None:
    """From the packed file, because nothing is published."""
    (command,) = [block.text for block in blocks(document) if block.language == "sh"]
    install(tmp_path, str(project.tarballs[name]))

    assert command == f"npm install {name}\n"
    assert (tmp_path / "node_modules" / name / "package.json").exists()


def test_client_is_imported_by_its_name(project: Project) -> None:
    project.write(
        "client.js",
        """
        import { OtpClient, WrongCode } from "@otp-service/client";
        const otp = new OtpClient("http://127.0.0.1:9", "sk_any");
        console.log(typeof otp.redeem, typeof WrongCode);
        otp.close();
        """,
    )
    assert project.run("client.js") == "function function\n"


# ── on a server ──


def test_every_module_can_be_imported_without_a_document(project: Project) -> None:
    project.write(
        "imports.js",
        """
        import { defineOtpVerify } from "@otp-service/widget";
        import { CN } from "@otp-service/widget/countries";
        import * as react from "@otp-service/widget/react";
        import * as vue from "@otp-service/widget/vue";
        await defineOtpVerify();
        console.log(CN, Object.keys(react), Object.keys(vue), typeof customElements);
        """,
    )
    assert project.run("imports.js") == "CN86-0:344 [ 'OtpVerify' ] [ 'OtpVerify' ] undefined\n"


TAG = (
    '<otp-verify publishable-key="pk_x" service="https://otp.example.com" countries="CN86-0:344 SG65-:44"'
    ' purpose="login" required{empty} class="wide">Call us.</otp-verify>'
)


def test_react_renders_the_tag_on_a_server(project: Project) -> None:
    project.write(
        "react.js",
        """
        import { createElement } from "react";
        import { renderToString } from "react-dom/server";
        import { CN, SG } from "@otp-service/widget/countries";
        import { OtpVerify } from "@otp-service/widget/react";
        const props = {
          publishableKey: "pk_x", service: "https://otp.example.com", countries: [CN, SG], purpose: "login",
          required: true, disabled: false, className: "wide", texts: { send: "Go" }, onVerified() {},
        };
        process.stdout.write(renderToString(createElement(OtpVerify, props, "Call us.")));
        """,
    )
    assert project.run("react.js") == TAG.format(empty='=""')


def test_vue_renders_the_tag_on_a_server(project: Project) -> None:
    project.write(
        "vue.js",
        """
        import { createSSRApp, h } from "vue";
        import { renderToString } from "vue/server-renderer";
        import { CN, SG } from "@otp-service/widget/countries";
        import { OtpVerify } from "@otp-service/widget/vue";
        const props = {
          publishableKey: "pk_x", service: "https://otp.example.com", countries: [CN, SG], purpose: "login",
          required: true, disabled: false, class: "wide", texts: { send: "Go" }, onVerified() {},
        };
        process.stdout.write(await renderToString(createSSRApp(() => h(OtpVerify, props, () => "Call us."))));
        """,
    )
    assert project.run("vue.js").replace("<!--[-->", "").replace("<!--]-->", "") == TAG.format(empty="")


# ── types ──


@pytest.mark.sdk
@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
def test_types_hold_in_a_strict_program(resolution: str, project: Project) -> None:
    """usage.tsx compiles, and has an error at each `@ts-expect-error`."""
    shutil.copy(HERE / "usage.tsx", project.directory)
    link(project.directory, "@types/node", package("@types/node").parents[1])
    compiler = package("typescript") / "bin" / "tsc"
    options = [
        "--strict",
        "--noEmit",
        "--exactOptionalPropertyTypes",
        "--target",
        "es2022",
        "--jsx",
        "react-jsx",
    ]
    module = "nodenext" if resolution == "nodenext" else "esnext"
    options += ["--module", module, "--moduleResolution", resolution, "--types", "node,react"]

    assert run([node(), str(compiler), *options, "usage.tsx"], project.directory) == ""
