"""AWS KMS as far as signing goes: `GetPublicKey` and `Sign` of one `ECC_SECG_P256K1` key, with faults.

It follows the documented JSON protocol: the operation in `X-Amz-Target`, Signature Version 4 on every
request, DER signatures in base64 whose s lies in either half of the order, errors with a `__type`.
Sources: https://docs.aws.amazon.com/kms/latest/APIReference/, sigv4-create-string-to-sign.html.
"""

import asyncio
import base64
import enum
import hashlib
import hmac
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
DIGEST_BYTES = 32
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/kms/aws4_request, SignedHeaders=([^,]+),"
    r" Signature=([0-9a-f]{64})"
)


class Spoilt(enum.StrEnum):
    """What is wrong with the answer to a `Sign` that was carried out."""

    LATE = "late"
    """It comes after `late_seconds`."""
    CUT = "cut"
    """The connection breaks instead."""
    OTHER_KEY = "other_key"
    """The signature is by another key."""
    OTHER_DIGEST = "other_digest"
    """The signature is of another digest."""
    NOT_DER = "not_der"
    """What is called a signature is none."""
    OUT_OF_RANGE = "out_of_range"
    """The numbers of the signature are larger than any can be."""
    NO_SIGNATURE = "no_signature"
    """The answer names no signature."""
    NOT_JSON = "not_json"
    """The body is a proxy's page."""


class _Refused(Exception):
    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.body = {"__type": kind, "message": message}
        self.status = status


@dataclass
class KmsEmulator:
    """The service with one key.

    Attributes:
        private_key: 32 bytes; of the curve secp256k1.
        key_id: Its id.
        access_key_id, secret_access_key: The only credentials accepted.
        failures: Kinds of errors that the next requests are answered with, such as `ThrottlingException`.
        spoilt: What is wrong with the answers to the next signatures.
        late_seconds: How late a late answer is.
        has_high_s: Whether every signature has its s in the upper half of the order.
        calls: How often each operation was called.
    """

    private_key: bytes
    key_id: str = "alias/executor"
    access_key_id: str = "AKIDEXAMPLE"
    secret_access_key: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 - of AWS's own examples
    failures: list[str] = field(default_factory=list[str])
    spoilt: list[Spoilt] = field(default_factory=list[Spoilt])
    late_seconds: float = 1.0
    has_high_s: bool = False
    calls: Counter[str] = field(default_factory=Counter[str])

    def answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one request whose signature was good."""
        self.calls[operation] += 1
        if self.failures:
            kind = self.failures.pop(0)
            raise _Refused(kind, "as it was told", 500 if kind == "KMSInternalException" else 400)
        if body.get("KeyId") != self.key_id:
            raise _Refused("NotFoundException", f"Key '{body.get('KeyId')}' does not exist")
        if operation == "GetPublicKey":
            return self._public_key()
        if operation == "Sign":
            return self._sign(body, self.spoilt[0] if self.spoilt else None)
        raise _Refused("UnknownOperationException", operation)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(self.private_key, "big"), ec.SECP256K1())

    def _public_key(self) -> dict[str, Any]:
        document = (
            self._key()
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        return {
            "KeyId": self.key_id,
            "KeySpec": "ECC_SECG_P256K1",
            "KeyUsage": "SIGN_VERIFY",
            "PublicKey": base64.b64encode(document).decode(),
            "SigningAlgorithms": ["ECDSA_SHA_256"],
        }

    def _sign(self, body: dict[str, Any], spoilt: Spoilt | None) -> dict[str, Any]:
        digest = base64.b64decode(body.get("Message", ""))
        if (body.get("MessageType"), body.get("SigningAlgorithm")) != ("DIGEST", "ECDSA_SHA_256"):
            raise _Refused("ValidationException", "only digests, and ECDSA_SHA_256")
        if len(digest) != DIGEST_BYTES:
            raise _Refused("ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256.")
        key = ec.generate_private_key(ec.SECP256K1()) if spoilt is Spoilt.OTHER_KEY else self._key()
        if spoilt is Spoilt.OTHER_DIGEST:
            digest = hashlib.sha256(digest).digest()
        signature = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        if self.has_high_s:
            r, s = decode_dss_signature(signature)
            signature = encode_dss_signature(r, max(s, ORDER - s))
        if spoilt is Spoilt.NOT_DER:
            signature = signature[:-1]
        if spoilt is Spoilt.OUT_OF_RANGE:
            signature = encode_dss_signature(1 << 300, 1 << 300)
        answer = {"KeyId": self.key_id, "SigningAlgorithm": "ECDSA_SHA_256"}
        if spoilt is Spoilt.NO_SIGNATURE:
            return answer
        return {**answer, "Signature": base64.b64encode(signature).decode()}

    def check_signature(self, headers: dict[str, str], path: str, body: bytes) -> None:
        """Check Signature Version 4 of a request, headers by lower-case names."""
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if found is None or found[1] != self.access_key_id:
            raise _Refused("UnrecognizedClientException", "The security token is invalid.")
        day, region, names, given = found[2], found[3], found[4], found[5]
        lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names.split(";"))
        canonical = f"POST\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{day}/{region}/kms/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{headers.get('x-amz-date', '')}\n{scope}\n{digest}"
        key = f"AWS4{self.secret_access_key}".encode()
        for part in (day, region, "kms", "aws4_request", text):
            key = hmac.digest(key, part.encode(), "sha256")
        if not hmac.compare_digest(key.hex(), given):
            raise _Refused("InvalidSignatureException", "The request signature does not match.")


def build_app(emulator: KmsEmulator) -> web.Application:
    """Return the service as an application."""

    async def handle(request: web.Request) -> web.Response:
        body, operation = await request.read(), request.headers.get("X-Amz-Target", "")
        operation = operation.removeprefix("TrentService.")
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            emulator.check_signature(headers, request.path, body)
            answer, status = emulator.answer(operation, orjson.loads(body)), 200
        except _Refused as refused:
            answer, status = refused.body, refused.status
        content = orjson.dumps(answer)
        if status == 200 and operation == "Sign" and emulator.spoilt:
            spoilt = emulator.spoilt.pop(0)
            if spoilt is Spoilt.LATE:
                await asyncio.sleep(emulator.late_seconds)
            if spoilt is Spoilt.CUT and request.transport is not None:
                request.transport.abort()
            if spoilt is Spoilt.NOT_JSON:
                content = b"<html>502 Bad Gateway</html>"
        return web.Response(body=content, status=status, content_type="application/x-amz-json-1.1")

    app = web.Application()
    app.router.add_post("/", handle)
    return app
