"""Generates `clients/widget/src/countries.js`: how the numbers of each country are written."""

from __future__ import annotations

import sys
from importlib.metadata import version

from otp_service.domain.phone import COUNTRIES, dialing
from otp_service.web.widget.views import encode_country

COMMAND = "python tools/generate_widget_countries.py > clients/widget/src/countries.js"
"""The command that regenerates the file."""


def module() -> str:
    """Return the text of the file."""
    lines = [
        f'export const {country} = "{encode_country(dialing(country))}";' for country in sorted(COUNTRIES)
    ]
    return "\n".join([head(), "", *lines, ""])


def head() -> str:
    """Return the first lines, which tell the version of the metadata."""
    return f"// Generated with phonenumbers {version('phonenumbers')}: {COMMAND}"


if __name__ == "__main__":
    sys.stdout.write(module())
