"""`python -m otp_service`: the command line."""

from __future__ import annotations

from otp_service.cli.main import main

main()
