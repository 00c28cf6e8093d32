"""The sign-in message against published vectors, and against every way of getting it wrong."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_accounts.domain.message import (
    MAX_MESSAGE_CHARACTERS,
    MessageError,
    SignInMessage,
    parse_message,
)
from snowrail_accounts.domain.sign_in import SignInRefused, check_signature

# Examples of https://eips.ethereum.org/EIPS/eip-4361 (copyright waived by CC0).
EIP_4361_BODY = """\
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json"""
EIP_4361_EXAMPLES = {
    "example.com": (None, "example.com"),
    "example.com:3388": (None, "example.com:3388"),
    "https://example.com": ("https", "example.com"),
}

# Fields and signatures of test/verification_positive.json of https://github.com/spruceid/siwe at commit
# 650dfba4888987ce9d273af67375043bd9c2176b (Apache-2.0 or MIT), signed by wallets that are not ours.
SIGNED = {
    "example message": (
        SignInMessage(
            domain="login.xyz",
            address="0x9D85ca56217D2bb651b00f15e694EB7E713637D4",
            statement="Sign-In With Ethereum Example Statement",
            uri="https://login.xyz",
            chain_id=1,
            nonce="bTyXgcQxn2htgkjJn",
            issued_at="2022-01-27T17:09:38.578Z",
            expiration_time="2100-01-07T14:31:43.952Z",
        ),
        "0xdc35c7f8ba2720df052e0092556456127f00f7707eaa8e3bbff7e56774e7f2e0"
        "5a093cfc9e02964c33d86e8e066e221b7d153d27e5a2e97ccd5ca7d3f2ce06cb1b",
    ),
    "not yet valid": (
        SignInMessage(
            domain="login.xyz",
            address="0xE6D3Aa1F561A215E5eb1f02Ba8705385F03fCaFB",
            statement="Sign-In With Ethereum Example Statement",
            uri="https://login.xyz",
            chain_id=1,
            nonce="lx2nx4so",
            issued_at="2022-01-05T14:27:30.883Z",
            not_before="2100-01-07T14:31:43.952Z",
        ),
        "0xc2539ace78f13c7eb8c0852d38d269a6f97bebd9f7872097d2e3137b541f8bf5"
        "0176062a46eeea83086bd2721423fb5755a932ff6ccc046ed482d14e4576042f1c",
    ),
    "recovery id counted from 0": (
        SignInMessage(
            domain="www.tally.xyz",
            address="0xc95EB884FE852e241D409234bfC7045CB9E31BD7",
            statement="Sign in with Ethereum to Tally",
            uri="https://tally.xyz",
            chain_id=1,
            nonce="15050747",
            issued_at="2022-06-30T14:08:51.382Z",
        ),
        "0x8c46b6eb8505939892d8e9b075f89f8277321b17b993151f37810cdda38cce6f"
        "4a85909d2b53e6a14629c74c0ac38bf4becde78ee5b2529812bf6cceaf7b2a2501",
    ),
}

# "wrong signature" of test/verification_negative.json in the same repository, at commit
# 5599e34424c9eb71d952131669648ebaa68f48af.
WRONGLY_SIGNED = (
    SignInMessage(
        domain="login.xyz",
        address="0x6Da01670d8fc844e736095918bbE11fE8D564163",
        statement="Sign-In With Ethereum Example Statement",
        uri="https://login.xyz",
        chain_id=1,
        nonce="rmplqh1gf",
        issued_at="2022-01-05T14:31:43.954Z",
        expiration_time="2100-01-07T14:31:43.952Z",
    ),
    "0x31df81dc02344c9156e6f71da46e2db624b38f8f806290d670d46492b834b2e7"
    "575cbce9f48169356cfb577b910d8e30732fcf23c1ac0021d08b945ed7ee118e1b",
)

FULL = SignInMessage(
    domain="pay.example:8443",
    address="0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    uri="https://pay.example:8443/login?from=app#top",
    chain_id=31337,
    nonce="abcdefgh12345678",
    issued_at="2026-01-01T12:00:00.000Z",
    statement="Sign in.",
    expiration_time="2026-01-01T12:10:00Z",
    not_before="2026-01-01T11:59:00+00:00",
    request_id="req-1",
    resources=("https://pay.example/terms", "urn:example:animal:ferret:nose"),
)


@pytest.mark.parametrize(("origin", "expected"), EIP_4361_EXAMPLES.items())
def test_the_examples_of_the_standard_are_read(origin: str, expected: tuple[str | None, str]) -> None:
    text = f"{origin} wants you to sign in with your Ethereum account:\n{EIP_4361_BODY}"
    message = parse_message(text)
    assert (message.scheme, message.domain) == expected
    assert message.address == "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
    assert message.statement == "I accept the ExampleOrg Terms of Service: https://example.com/tos"
    assert (message.uri, message.chain_id, message.nonce) == ("https://example.com/login", 1, "32891756")
    assert message.issued.isoformat() == "2021-09-30T16:25:24+00:00"
    assert (message.expires, message.valid_from, message.request_id) == (None, None, None)
    assert message.resources == (
        "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
        "https://example.com/my-web2-claim.json",
    )
    assert message.render() == text


@pytest.mark.parametrize("name", SIGNED)
def test_published_signatures_fit_what_we_render(name: str) -> None:
    message, signature = SIGNED[name]
    text = message.render()
    assert parse_message(text) == message
    check_signature(text, signature, message.address)


@pytest.mark.parametrize("name", SIGNED)
def test_a_published_signature_fits_no_other_text(name: str) -> None:
    message, signature = SIGNED[name]
    other = replace(message, nonce=message.nonce[:-1] + ("1" if message.nonce[-1] != "1" else "2"))
    with pytest.raises(SignInRefused) as refused:
        check_signature(other.render(), signature, message.address)
    assert refused.value.code == "wrong_signature"


def test_a_published_signature_of_another_key_is_refused() -> None:
    message, signature = WRONGLY_SIGNED
    with pytest.raises(SignInRefused) as refused:
        check_signature(message.render(), signature, message.address)
    assert refused.value.code == "wrong_signature"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"statement": None},
        {"statement": ""},
        {"statement": "URI: https://pay.example"},
        {"scheme": "https"},
        {"expiration_time": None},
        {"not_before": None},
        {"request_id": None},
        {"request_id": ""},
        {"request_id": "a%20b:@!$&'()*+,;="},
        {"resources": None},
        {"resources": ()},
        {"expiration_time": None, "not_before": None, "request_id": None, "resources": None},
        {"domain": "127.0.0.1"},
        {"domain": "test@127.0.0.1:8080"},
        {"domain": "[2001:db8::1]:443"},
        {"domain": "[v1.fe:d]"},
        {"domain": "xn--bcher-kva.example"},
        {"uri": "ipfs://Qme7ss3ARVgxv6rXqVPiikMJ8u2NLgmgszg13pYrDKEoiu"},
        {"uri": "urn:a:b"},
        {"uri": "file:/etc"},
        {"uri": "mailto:"},
        {"issued_at": "2021-09-30t16:25:24z"},
        {"issued_at": "2021-09-30T16:25:24.123456789-07:00"},
        {"nonce": "1" * 200},
    ],
)
def test_what_is_rendered_is_read_back(changed: dict[str, object]) -> None:
    message = replace(FULL, **changed)  # pyright: ignore[reportArgumentType]
    assert parse_message(message.render()) == message


TEXT = FULL.render()


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("pay.example:8443 wants", " wants", "domain"),
        ("pay.example:8443 wants", "pay example wants", "domain"),
        ("pay.example:8443 wants", "pay.example:x wants", "domain"),
        ("pay.example:8443 wants", "[2001:db8:::1] wants", "domain"),
        ("pay.example:8443 wants", "https//pay.example wants", "domain"),
        ("pay.example:8443 wants", "1s://pay.example wants", "scheme"),
        ("pay.example:8443 wants", "://pay.example wants", "scheme"),
        ("wants you to sign in", "Wants you to sign in", "domain"),
        ("account:\n0x", "account: \n0x", "domain"),
        ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "", "address"),
        (
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "address",
        ),
        (
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "0XF39FD6E51AAD88F6F4CE6AB8827279CFFFB92266",
            "address",
        ),
        (
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "address",
        ),
        ("92266\n\nSign", "92266\nSign", "statement"),
        ("92266\n\nSign in.\n", "92266\n\n\nSign in.\n", "URI"),
        ("Sign in.\n", "Sign in.\nAgain.\n", "URI"),
        ("Sign in.", "Sign\tin.", "statement"),
        ("Sign in.", "Sign in\r", "statement"),
        ("Sign in.", "Sign in ™", "statement"),
        ("Sign in.", "100 %", "statement"),
        ("Sign in.\n\nURI", "Sign in.\nURI", "URI"),
        ("URI: https://pay.example:8443/login?from=app#top", "URI: _not_a_uri_", "URI"),
        ("URI: https://pay.example:8443/login?from=app#top", "URI: /relative", "URI"),
        ("URI: https://pay.example:8443/login?from=app#top", "URI: https://[1::2::3]/", "URI"),
        ("URI: https://pay.example:8443/login?from=app#top", "URI: https://pay.example/%zz", "URI"),
        ("URI: https://pay.example:8443/login?from=app#top", "URI: https://pay.example/a b", "URI"),
        ("URI: https://pay.example:8443/login?from=app#top\n", "", "URI"),
        ("URI: ", "uri: ", "URI"),
        ("URI: ", "URI:", "URI"),
        ("Version: 1", "Version: 2", "Version"),
        ("Version: 1", "Version: 01", "Version"),
        ("Version: 1\n", "", "Version"),
        ("Version: 1\nChain ID: 31337", "Chain ID: 31337\nVersion: 1", "Version"),
        ("Chain ID: 31337", "Chain ID: ?", "Chain ID"),
        ("Chain ID: 31337", "Chain ID: -1", "Chain ID"),
        ("Chain ID: 31337", "Chain ID: ٣", "Chain ID"),
        ("Chain ID: 31337", "Chain ID: ", "Chain ID"),
        ("Chain ID: 31337\n", "", "Chain ID"),
        ("Nonce: abcdefgh12345678", "Nonce: 1234567", "Nonce"),
        ("Nonce: abcdefgh12345678", "Nonce: abcdefgh-12345678", "Nonce"),
        ("Nonce: abcdefgh12345678", "Nonce: äbcdefgh12345678", "Nonce"),
        ("Nonce: abcdefgh12345678\n", "", "Nonce"),
        ("Issued At: 2026-01-01T12:00:00.000Z", "Issued At: Wed Oct 05 2011 16:48:00 GMT+0200", "Issued At"),
        ("Issued At: 2026-01-01T12:00:00.000Z", "Issued At: 2026-02-30T12:00:00Z", "Issued At"),
        ("Issued At: 2026-01-01T12:00:00.000Z", "Issued At: 2026-01-01", "Issued At"),
        ("Issued At: 2026-01-01T12:00:00.000Z", "Issued At: 2026-01-01T12:00:00", "Issued At"),
        ("Issued At: 2026-01-01T12:00:00.000Z\n", "", "Issued At"),
        ("Expiration Time: 2026-01-01T12:10:00Z", "Expiration Time: soon", "Expiration Time"),
        ("Not Before: 2026-01-01T11:59:00+00:00", "Not Before: 2026-01-01T25:00:00Z", "Not Before"),
        (
            "Expiration Time: 2026-01-01T12:10:00Z\nNot Before: 2026-01-01T11:59:00+00:00",
            "Not Before: 2026-01-01T11:59:00+00:00\nExpiration Time: 2026-01-01T12:10:00Z",
            "Resources",
        ),
        ("Request ID: req-1", "Request ID: re/q", "Request ID"),
        ("Request ID: req-1", "Request ID: a b", "Request ID"),
        ("Resources:", "Resources: ", "Resources"),
        ("- https://pay.example/terms", "https://pay.example/terms", "Resources"),
        ("- https://pay.example/terms", "-https://pay.example/terms", "Resources"),
        ("- https://pay.example/terms", "- _not_a_uri_", "Resources"),
        ("- https://pay.example/terms\n- ", "- https://pay.example/terms - ", "Resources"),
        ("ferret:nose", "ferret:nose\n", "Resources"),
        ("ferret:nose", "ferret:nose\nRequest ID: req-2", "Resources"),
    ],
)
def test_a_message_that_is_not_one_is_refused(old: str, new: str, field: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(MessageError) as refused:
        parse_message(TEXT.replace(old, new))
    assert refused.value.field == field
    assert refused.value.code == "message_malformed"


def test_every_cut_of_a_message_short_of_an_optional_field_is_refused() -> None:
    lines = TEXT.split("\n")
    for count in range(9):
        with pytest.raises(MessageError):
            parse_message("\n".join(lines[:count]))
    assert parse_message("\n".join(lines[:10])).expiration_time is None


def test_a_message_that_is_too_long_is_not_even_read() -> None:
    with pytest.raises(MessageError, match="longer"):
        parse_message("x" * (MAX_MESSAGE_CHARACTERS + 1))


def test_a_negative_chain_cannot_be_stated() -> None:
    with pytest.raises(MessageError):
        replace(FULL, chain_id=-1)


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    for candidate in (text, TEXT[: len(text)] + text + TEXT[len(text) :]):
        try:
            message = parse_message(candidate)
        except MessageError:
            continue
        assert parse_message(message.render()) == message
