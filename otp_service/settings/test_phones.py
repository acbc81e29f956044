"""`[[test_phones]]`: phones of reviewers and monitors, which get a fixed code and no SMS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone

from pydantic import SecretStr

from otp_service.domain import codes, phone
from otp_service.domain.codes import CodeType
from otp_service.domain.errors import DestinationBlocked, InvalidCode, InvalidPhone
from otp_service.domain.phone import PhoneRules
from otp_service.domain.policy import TestPhone
from otp_service.settings.issues import ConfigIssue
from otp_service.settings.tables import Config

MAX_DAYS = 90
MAX_PHONES = 20

CHINA = timezone(timedelta(hours=8))


class TestPhoneConfig(Config):
    """One test phone: its number in E.164, its code, until when (the whole day, UTC+8) and what for."""

    __test__ = False  # pytest takes the name for a test's

    phone: str = ""
    code: SecretStr = SecretStr("")
    expires: date | None = None
    name: str = ""

    def made(self) -> TestPhone:
        """Return the test phone; the table must be free of mistakes."""
        code, _ = codes.parse(self.code.get_secret_value())
        return TestPhone(code, self._ends_at().timestamp())

    def issues(
        self, where: str, rules: PhoneRules, kinds: Mapping[str, CodeType], today: date
    ) -> Iterator[ConfigIssue]:
        """Tell what is wrong with the table; *today* is the day in China."""
        yield from self._phone_issues(f"{where}.phone", rules)
        yield from self._code_issues(f"{where}.code", kinds)
        if not self.name:
            yield ConfigIssue(f"{where}.name", "is required: what is it for?")
        if self.expires is None:
            yield ConfigIssue(f"{where}.expires", "is required: the last day on which it works")
        elif self.expires < today:
            yield ConfigIssue(f"{where}.expires", "is over")
        elif self.expires > today + timedelta(days=MAX_DAYS):
            yield ConfigIssue(f"{where}.expires", f"is more than {MAX_DAYS} days ahead")

    def _phone_issues(self, where: str, rules: PhoneRules) -> Iterator[ConfigIssue]:
        try:
            if phone.parse(self.phone, rules).e164 != self.phone:
                yield ConfigIssue(where, "must be written in E.164, like +8613800138000")
        except InvalidPhone:
            yield ConfigIssue(where, "must be a valid number in E.164, like +8613800138000")
        except DestinationBlocked:
            yield ConfigIssue(where, "is of a country or kind that this service does not send to")

    def _code_issues(self, where: str, kinds: Mapping[str, CodeType]) -> Iterator[ConfigIssue]:
        try:
            _, shapes = codes.parse(self.code.get_secret_value())
        except InvalidCode:
            yield ConfigIssue(
                where, "must be a possible code: six digits, or six of the letters and digits of alnum6"
            )
            return
        for purpose, kind in kinds.items():
            if kind not in shapes:
                yield ConfigIssue(where, f"can be no code of {purpose}")

    def _ends_at(self) -> datetime:
        return datetime.combine(self.expires or date.min, time.max, CHINA)
