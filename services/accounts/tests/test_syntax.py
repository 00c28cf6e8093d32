"""RFC 3986 and RFC 3339 as the sign-in message borrows them."""

from datetime import UTC, datetime

import pytest

from snowrail_accounts.domain.syntax import is_authority, is_pchars, is_scheme, is_uri, parse_date_time

# The examples of RFC 3986, section 1.1.2.
RFC_3986_URIS = (
    "ftp://ftp.is.co.za/rfc/rfc1808.txt",
    "http://www.ietf.org/rfc/rfc2396.txt",
    "ldap://[2001:db8::7]/c=GB?objectClass?one",
    "mailto:John.Doe@example.com",
    "news:comp.infosystems.www.servers.unix",
    "tel:+1-816-555-1212",
    "telnet://192.0.2.16:80/",
    "urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
)
# The examples of RFC 3339, section 5.8, with the same moments in UTC.
RFC_3339_MOMENTS = {
    "1985-04-12T23:20:50.52Z": datetime(1985, 4, 12, 23, 20, 50, 520_000, UTC),
    "1996-12-19T16:39:57-08:00": datetime(1996, 12, 20, 0, 39, 57, tzinfo=UTC),
    "1990-12-31T23:59:60Z": datetime(1991, 1, 1, tzinfo=UTC),
    "1990-12-31T15:59:60-08:00": datetime(1991, 1, 1, tzinfo=UTC),
    "1937-01-01T12:00:27.87+00:20": datetime(1937, 1, 1, 11, 40, 27, 870_000, UTC),
}


@pytest.mark.parametrize("uri", RFC_3986_URIS)
def test_the_examples_of_rfc_3986_are_uris(uri: str) -> None:
    assert is_uri(uri)


@pytest.mark.parametrize(
    "text",
    ["", "example.com", "//host", "http//x", "a b:c", "http://[::g]/", "http://h/^", "http://h:8a/", "1a:b"],
)
def test_other_texts_are_not(text: str) -> None:
    assert not is_uri(text)


@pytest.mark.parametrize(
    "text", ["a", "a:b@c:1", "[::1]", "[::ffff:192.0.2.1]:443", "1.1.1.256", "%41", "h:"]
)
def test_authorities(text: str) -> None:
    assert is_authority(text)


@pytest.mark.parametrize("text", ["", ":80", "a@", "a b", "[::1", "::1", "a/b", "a@b@c", "%4"])
def test_other_texts_are_no_authorities(text: str) -> None:
    assert not is_authority(text)


def test_schemes_and_path_characters() -> None:
    assert is_scheme("a+b-c.1")
    assert not is_scheme("1a")
    assert is_pchars("")
    assert not is_pchars("a/b")


@pytest.mark.parametrize(("text", "moment"), RFC_3339_MOMENTS.items())
def test_the_examples_of_rfc_3339_are_read(text: str, moment: datetime) -> None:
    assert parse_date_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2021-09-30 16:25:24Z",
        "2021-09-30T16:25Z",
        "2021-13-01T00:00:00Z",
        "2021-01-01T24:00:00Z",
        "2021-01-01T00:00:61Z",
        "2021-01-01T00:00:00+24:00",
        "2021-01-01T00:00:00+00:60",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "2021-01-01T00:00:00.Z",
        "２021-01-01T00:00:00Z",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_date_time(text)
