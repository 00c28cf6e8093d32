"""A signing key in AWS KMS: `ECC_SECG_P256K1`, which never leaves it.

KMS answers with a DER signature whose s may lie in the upper half of the order, which Ethereum refuses, and
without a recovery id. Requests are signed by botocore and sent by aiohttp; see docs/decisions.
Sources: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html, API_GetPublicKey.html, EIP-2.
"""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from coincurve import PublicKey
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from snowrail_chain.signer import SigningFailed, address_of

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_RETRIED = frozenset(
    {
        "ThrottlingException",
        "LimitExceededException",
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
    }
)
_SERVER_ERROR_STATUS = 500
_MAX_ANSWER_BYTES = 64 * 1024
_FIRST_PAUSE_SECONDS = 0.05


class WrongKey(SigningFailed):
    """The key in KMS is not the one whose address was configured, or not of this curve."""


class KmsRefused(SigningFailed):
    """KMS refused, or was out of reach, as often as was tried."""


@dataclass(frozen=True, slots=True)
class KmsSettings:
    """Where a key is.

    Attributes:
        endpoint: URL of the service, such as `https://kms.eu-central-1.amazonaws.com`.
        region: Region that requests are signed for.
        key_id: Id, ARN or alias.
        timeout_seconds: Longest time of one request.
        attempts: How often a throttled or failing request is made; signing is free of side effects.
    """

    endpoint: str
    region: str
    key_id: str
    timeout_seconds: float = 5.0
    attempts: int = 4


class KmsKey:
    """A `SigningKey` in KMS.

    Args:
        settings: Where it is.
        credentials: Of an identity that may `kms:GetPublicKey` and `kms:Sign` with it, and nothing else.
        address: Address that it must have; anything else in its place is never asked to sign.
        on_failed_call: Called with the kind of each request that failed, even if it is made again.
    """

    def __init__(
        self,
        settings: KmsSettings,
        credentials: Credentials,
        address: str,
        on_failed_call: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_failed_call = on_failed_call
        self._credentials = credentials
        self._address = address
        self._public_key: PublicKey | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def address(self) -> str:
        """EIP-55 address of the key."""
        return self._address

    async def close(self) -> None:
        """Close the connections; harmless when there are none."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def sign_digest(self, digest: bytes) -> bytes:
        """See `SigningKey.sign_digest`.

        Raises:
            WrongKey: KMS holds another key under this id.
            KmsRefused: No answer, or none that is a signature.
        """
        public_key = self._public_key or await self._verified_public_key()
        body = {
            "KeyId": self._settings.key_id,
            "Message": base64.b64encode(digest).decode(),
            "MessageType": "DIGEST",
            "SigningAlgorithm": "ECDSA_SHA_256",
        }
        answer = await self._call("Sign", body)
        try:
            r, s = decode_dss_signature(base64.b64decode(answer["Signature"], validate=True))
        except (KeyError, TypeError, ValueError) as problem:
            raise KmsRefused(f"KMS answered with no signature: {problem!r}") from problem
        if not (0 < r < ORDER and 0 < s < ORDER):
            raise KmsRefused("KMS answered with no signature: r or s is out of range")
        return recoverable(r, s, digest, public_key)

    async def _verified_public_key(self) -> PublicKey:
        answer = await self._call("GetPublicKey", {"KeyId": self._settings.key_id})
        try:
            loaded = serialization.load_der_public_key(base64.b64decode(answer["PublicKey"]))
        except (KeyError, TypeError, ValueError, UnsupportedAlgorithm) as problem:
            raise WrongKey(f"KMS answered with no public key: {problem!r}") from problem
        if not isinstance(loaded, ec.EllipticCurvePublicKey) or not isinstance(loaded.curve, ec.SECP256K1):
            raise WrongKey("the key is not of the curve secp256k1")
        point = loaded.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        public_key = PublicKey(point)
        if address_of(public_key) != self._address:
            raise WrongKey(f"the key has address {address_of(public_key)}, not {self._address}")
        self._public_key = public_key
        return public_key

    async def _call(self, operation: str, body: dict[str, str]) -> dict[str, Any]:
        """Call KMS, again after a pause while it says that it is busy."""
        problem, pause_seconds = "", _FIRST_PAUSE_SECONDS
        for attempt in range(self._settings.attempts):
            if attempt:
                await asyncio.sleep(pause_seconds)
                pause_seconds *= 2
            try:
                status, answer = await self._post(operation, orjson.dumps(body))
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failure:
                problem = f"{operation}: {failure!r}"
                self._tell_failed(type(failure).__name__)
                continue
            if status == 200:
                return answer
            kind = str(answer.get("__type", "")).rpartition("#")[2]
            problem = f"{operation}: {status} {kind}: {answer.get('message', '')}"
            self._tell_failed(kind or str(status))
            if kind not in _RETRIED and status < _SERVER_ERROR_STATUS:
                break
        raise KmsRefused(problem)

    def _tell_failed(self, kind: str) -> None:
        if self._on_failed_call is not None:
            self._on_failed_call(kind)

    async def _post(self, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._settings.timeout_seconds)
            self._session = aiohttp.ClientSession(timeout=timeout)
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"}
        url = f"{self._settings.endpoint}/"
        request = AWSRequest("POST", url, headers, body)
        auth = SigV4Auth(self._credentials, "kms", self._settings.region)
        await asyncio.to_thread(auth.add_auth, request)  # credentials that have expired are fetched anew
        signed = dict(request.headers.items())
        async with self._session.post(url, data=body, headers=signed) as response:
            content = await response.content.read(_MAX_ANSWER_BYTES)
            answer = orjson.loads(content) if content else {}
        if not isinstance(answer, dict):
            raise ValueError("the answer is no object")
        return response.status, cast("dict[str, Any]", answer)


def recoverable(r: int, s: int, digest: bytes, public_key: PublicKey) -> bytes:
    """Return r, the lower s, and the recovery id with which a signature leads back to its key.

    Raises:
        WrongKey: With none.
    """
    s = min(s, ORDER - s)
    both = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for recovery_id in (0, 1):
        signature = both + bytes((recovery_id,))
        try:
            found = PublicKey.from_signature_and_message(signature, digest, hasher=None)
        except ValueError:
            continue
        if found == public_key:
            return signature
    raise WrongKey("the signature is not by the key that KMS showed")
