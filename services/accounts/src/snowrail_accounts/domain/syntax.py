"""Syntax that the sign-in message borrows: URIs and authorities (RFC 3986), moments (RFC 3339)."""

import ipaddress
import re
from datetime import UTC, datetime, timedelta

_UNRESERVED = r"A-Za-z0-9\-._~"
_SUB_DELIMITERS = r"!$&'()*+,;="
_ENCODED = r"%[0-9A-Fa-f]{2}"
_PCHAR = rf"(?:[{_UNRESERVED}{_SUB_DELIMITERS}:@]|{_ENCODED})"
_QUERY = rf"(?:[{_UNRESERVED}{_SUB_DELIMITERS}:@/?]|{_ENCODED})*"
_SCHEME = r"[A-Za-z][A-Za-z0-9+\-.]*"
_USER_INFO = rf"(?:[{_UNRESERVED}{_SUB_DELIMITERS}:]|{_ENCODED})*"
_REGISTERED_NAME = rf"(?:[{_UNRESERVED}{_SUB_DELIMITERS}]|{_ENCODED})*"
_IP_FUTURE = rf"v[0-9A-Fa-f]+\.[{_UNRESERVED}{_SUB_DELIMITERS}:]+"
_IP_LITERAL = rf"\[(?:{_IP_FUTURE}|(?P<ipv6>[0-9A-Fa-f:.]+))\]"
_AUTHORITY = rf"(?:{_USER_INFO}@)?(?P<host>{_IP_LITERAL}|{_REGISTERED_NAME})(?::[0-9]*)?"
_SEGMENTS = rf"(?:/{_PCHAR}*)*"
_HIERARCHY = rf"(?://{_AUTHORITY}{_SEGMENTS}|/(?:{_PCHAR}+{_SEGMENTS})?|{_PCHAR}+{_SEGMENTS}|)"

_URI_FORM = re.compile(rf"{_SCHEME}:{_HIERARCHY}(?:\?{_QUERY})?(?:#{_QUERY})?")
_AUTHORITY_FORM = re.compile(_AUTHORITY)
_SCHEME_FORM = re.compile(_SCHEME)
_PCHARS_FORM = re.compile(rf"{_PCHAR}*")
_STATEMENT_FORM = re.compile(rf"[{_UNRESERVED}{_SUB_DELIMITERS}:/?#\[\]@ ]*")
_DATE_TIME_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_LEAP_SECOND = 60


def is_scheme(text: str) -> bool:
    """Whether the text is an RFC 3986 scheme."""
    return _SCHEME_FORM.fullmatch(text) is not None


def is_authority(text: str) -> bool:
    """Whether the text is an RFC 3986 authority with a host: `[ userinfo "@" ] host [ ":" port ]`."""
    match = _AUTHORITY_FORM.fullmatch(text)
    return match is not None and bool(match["host"]) and _is_address(match["ipv6"])


def is_uri(text: str) -> bool:
    """Whether the text is an RFC 3986 URI, which is never relative."""
    match = _URI_FORM.fullmatch(text)
    return match is not None and _is_address(match["ipv6"])


def is_pchars(text: str) -> bool:
    """Whether the text is zero or more RFC 3986 `pchar`."""
    return _PCHARS_FORM.fullmatch(text) is not None


def is_statement(text: str) -> bool:
    """Whether the text has only RFC 3986 reserved and unreserved characters, and spaces."""
    return _STATEMENT_FORM.fullmatch(text) is not None


def parse_date_time(text: str) -> datetime:
    """Return the moment of an RFC 3339 date-time, in UTC, cut to microseconds.

    Raises:
        ValueError: not a date-time, or one outside the years 1 to 9999.
    """
    match = _DATE_TIME_FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 date-time: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    leap = second == _LEAP_SECOND
    moment = datetime(
        year,
        month,
        day,
        hour,
        minute,
        second - 1 if leap else second,
        int((fraction or "")[:6].ljust(6, "0")),
        tzinfo=UTC,
    )
    offset = timedelta()
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            raise ValueError(f"not an RFC 3339 offset: {text!r}")
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
    try:
        return moment + timedelta(seconds=int(leap)) - (-offset if sign == "-" else offset)
    except OverflowError as error:
        raise ValueError(f"outside the years 1 to 9999: {text!r}") from error


def _is_address(ipv6: str | None) -> bool:
    if ipv6 is None:
        return True
    try:
        ipaddress.IPv6Address(ipv6)
    except ValueError:
        return False
    return True
