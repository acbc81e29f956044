"""`python -m otp_service`: the command line. Touches what the command touches."""

from __future__ import annotations

from otp_service.cli.main import main

main()
