"""Countries as settings name them, and what people write instead."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from otp_service.domain.phone import COUNTRIES
from otp_service.settings.issues import invalid

_MEANT = {
    "GB": ("UK", "EN", "ENG", "GBR", "ENGLAND", "BRITAIN", "GREAT BRITAIN", "UNITED KINGDOM", "44"),
    "US": ("USA", "AMERICA", "UNITED STATES", "1"),
    "CN": ("CHN", "CHINA", "PRC", "ZH", "ZH-CN", "ZH_CN", "中国", "86"),
    "HK": ("HKG", "HONGKONG", "HONG KONG", "ZH-HK", "香港", "852"),
    "MO": ("MAC", "MACAO", "MACAU", "澳门", "853"),
    "TW": ("TWN", "TAIWAN", "ZH-TW", "台湾", "886"),
    "JP": ("JPN", "JAPAN", "JA", "日本", "81"),
    "KR": ("KOR", "KOREA", "SOUTH KOREA", "KO", "韩国", "82"),
    "SG": ("SGP", "SINGAPORE", "新加坡", "65"),
    "MY": ("MYS", "MALAYSIA", "马来西亚", "60"),
    "TH": ("THA", "THAILAND", "泰国", "66"),
    "VN": ("VNM", "VIETNAM", "VIET NAM", "越南", "84"),
    "ID": ("IDN", "INDONESIA", "62"),
    "PH": ("PHL", "PHILIPPINES", "63"),
    "IN": ("IND", "INDIA", "91"),
    "DE": ("DEU", "GER", "GERMANY", "49"),
    "FR": ("FRA", "FRANCE", "33"),
    "ES": ("ESP", "SPAIN", "34"),
    "IT": ("ITA", "ITALY"),
    "CH": ("CHE", "SWITZERLAND", "SUI", "41"),
    "GR": ("GRC", "GREECE", "EL", "30"),
    "CA": ("CAN", "CANADA"),
    "AU": ("AUS", "AUSTRALIA", "61"),
    "NZ": ("NZL", "NEW ZEALAND", "64"),
    "RU": ("RUS", "RUSSIA", "7"),
    "UA": ("UKR", "UKRAINE", "380"),
    "AE": ("ARE", "UAE", "971"),
    "BR": ("BRA", "BRAZIL", "55"),
    "MX": ("MEX", "MEXICO", "52"),
}
_HINTS = {text: code for code, texts in _MEANT.items() for text in texts}


def hint(text: str) -> str:
    """Return the code of the country that *text* may stand for; perhaps none."""
    folded = text.strip().removeprefix("+").upper()
    return folded if folded in COUNTRIES else _HINTS.get(folded, "")


def country(text: str) -> str:
    """Return *text*, the ISO code of a country.

    Raises:
        PydanticCustomError: it is none.
    """
    if text in COUNTRIES:
        return text
    meant = f": write {code}" if (code := hint(text)) else ', like "CN"'
    raise invalid(f"must be the two capital letters of a country (ISO 3166){meant}")


Country = Annotated[str, AfterValidator(country)]
