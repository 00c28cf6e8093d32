"""A wallet asks for a nonce, signs the message around it, and gets a session."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from snowrail_accounts.domain.message import MessageError, SignInMessage, parse_message
from snowrail_accounts.domain.people import (
    HANDLE_RANDOM_BYTES,
    Account,
    change_roles,
    generate_handle,
    initial_roles,
)
from snowrail_accounts.domain.sessions import network_key
from snowrail_accounts.domain.sign_in import (
    IssuedNonce,
    SignInRefused,
    check_message,
    check_signature,
    compose_message,
)
from snowrail_accounts.parts import Parts
from snowrail_accounts.store import people as people_store
from snowrail_accounts.store import sessions as session_store
from snowrail_accounts.store import sign_in as sign_in_store
from snowrail_accounts.store.sessions import Device, Session
from snowrail_accounts.usecases.announce import registered, updated
from snowrail_accounts.usecases.sessions import Grant, grant_tokens
from snowrail_chain.addresses import AddressError, parse_address
from snowrail_events import DeviceSignedInV1
from snowrail_kit import audit
from snowrail_kit.audit import Act
from snowrail_kit.consumer import Unavailable
from snowrail_kit.problems import Problem
from snowrail_kit.unit_of_work import Transaction

NONCE_RANDOM_BYTES = 16
_HANDLE_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class DeviceClaim:
    """What a client says about the device it runs on."""

    device_id: UUID | None
    label: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, on which device, and the tokens of the session."""

    account: Account
    device: Device
    is_new_device: bool
    grant: Grant


def _too_many(retry_after_seconds: int) -> Problem:
    return Problem(
        429,
        "rate_limited",
        f"Too many attempts; try again in {retry_after_seconds} s.",
        {"retry_after_seconds": retry_after_seconds},
        {"Retry-After": str(retry_after_seconds)},
    )


async def issue_nonce(
    parts: Parts, address: str, chain_id: int, network_address: str
) -> tuple[IssuedNonce, SignInMessage]:
    """Give out a nonce, and the message to sign around it.

    Raises:
        Problem: 422 for an address without its checksum or an unknown chain, 429 when asked too often.
    """
    try:
        parse_address(address)
    except AddressError as error:
        offered = {"checksummed": error.checksummed} if error.checksummed else {}
        raise Problem(422, error.code, f"{error}.", offered) from error
    if chain_id not in parts.settings.sign_in_chain_ids:
        raise Problem(422, "chain_unknown", f"Nobody signs in on chain {chain_id} here.")
    now = parts.clock.now()
    issued = IssuedNonce(
        nonce=parts.random_bytes(NONCE_RANDOM_BYTES).hex(),
        address=address,
        chain_id=chain_id,
        issued_at=now,
        expires_at=now + timedelta(seconds=parts.settings.nonce_lifetime_seconds),
    )
    async with parts.transaction() as tx:
        retry = await sign_in_store.take(
            tx.connection, parts.settings.nonce_limit, network_key(network_address), now
        )
        if retry is not None:
            raise _too_many(retry)
        await sign_in_store.insert_nonce(tx.connection, issued)
    return issued, compose_message(issued, parts.origin, parts.settings.sign_in_statement)


async def sign_in(
    parts: Parts, text: str, signature: str, claim: DeviceClaim, network_address: str
) -> SignedIn:
    """Begin a session for whoever signed the message.

    The nonce is used up by the first attempt, whatever becomes of it. Everything here fails closed: without
    the database there is neither a nonce nor a count of attempts.

    Raises:
        Problem: 400 malformed message, 401 refused, 429 too many attempts.
    """
    try:
        message = parse_message(text)
    except MessageError as error:
        raise Problem(400, error.code, f"This is not a sign-in message: {error}.") from error
    issued = await _use_up_nonce(parts, message.nonce, network_address)
    try:
        if issued is None:
            raise SignInRefused("nonce_unknown", "the nonce is unknown, used or expired; ask for a new one")
        check_message(message, issued, parts.origin, parts.clock.now())
        check_signature(text, signature, message.address)
    except SignInRefused as refusal:
        raise Problem(401, refusal.code, f"{refusal.detail[0].upper()}{refusal.detail[1:]}.") from refusal
    async with parts.transaction() as tx:
        return await _begin(parts, tx, message.address, claim, network_address)


async def _use_up_nonce(parts: Parts, nonce: str, network_address: str) -> IssuedNonce | None:
    async with parts.transaction() as tx:
        retry = await sign_in_store.take(
            tx.connection, parts.settings.network_limit, network_key(network_address), tx.now
        )
        if retry is not None:
            raise _too_many(retry)
        return await sign_in_store.consume_nonce(tx.connection, nonce, tx.now)


async def _begin(
    parts: Parts, tx: Transaction, address: str, claim: DeviceClaim, network_address: str
) -> SignedIn:
    await people_store.lock_address(tx.connection, address)
    retry = await sign_in_store.take(tx.connection, parts.settings.address_limit, address, tx.now)
    if retry is not None:
        raise _too_many(retry)
    account, acts = await _find_or_register(parts, tx, address)
    await people_store.mark_sign_in(tx.connection, account.user_id, tx.now)
    device, is_new = await _see_device(parts, tx, account.user_id, claim, network_address)
    session = Session(
        session_id=parts.ids.new(),
        device_id=device.device_id,
        created_at=tx.now,
        last_used_at=tx.now,
        expires_at=tx.now + timedelta(days=parts.settings.session_days),
    )
    await session_store.insert_session(tx.connection, account.user_id, session)
    await session_store.end_oldest_sessions(
        tx.connection, account.user_id, tx.now, parts.settings.sessions_per_user
    )
    grant = await grant_tokens(parts, tx, account, session.session_id, device.device_id, session.expires_at)
    tx.emit(
        DeviceSignedInV1(
            user_id=account.user_id,
            device_id=device.device_id,
            label=device.label,
            address=network_address[:64],
            is_new=is_new,
            signed_in_at=tx.now,
        ),
        version=account.version,
    )
    await audit.append(tx.connection, acts, tx.now)
    return SignedIn(account, device, is_new, grant)


async def _find_or_register(parts: Parts, tx: Transaction, address: str) -> tuple[Account, list[Act]]:
    is_first_administrator = address in parts.settings.admin_addresses
    account = await people_store.find_by_address(tx.connection, address)
    if account is None:
        account = await _register(parts, tx, address, is_first_administrator)
        tx.emit(registered(account), version=account.version)
    elif is_first_administrator and "admin" not in account.roles:
        account = replace(
            account,
            roles=change_roles(account.roles, ("admin",), (), is_own=False),
            version=account.version + 1,
            changed_at=tx.now,
        )
        await people_store.update(tx.connection, account)
        tx.emit(updated(account), version=account.version)
    else:
        return account, []
    if "admin" not in account.roles:
        return account, []
    reason = {"granted": ["admin"], "reason": "named in the settings"}
    return account, [Act("accounts", "roles.changed", str(account.user_id), reason)]


async def _register(parts: Parts, tx: Transaction, address: str, is_first_administrator: bool) -> Account:
    user_id = parts.ids.new()
    for _ in range(_HANDLE_ATTEMPTS):
        handle = generate_handle(parts.random_bytes(HANDLE_RANDOM_BYTES))
        if await people_store.claim_handle(tx.connection, handle, user_id, tx.now):
            break
    else:
        raise Unavailable("no free handle was found")
    account = Account(
        user_id=user_id,
        address=address,
        handle=handle,
        roles=initial_roles(is_first_administrator),
        kyc_level=0,
        time_zone="UTC",
        version=1,
        created_at=tx.now,
        changed_at=tx.now,
    )
    await people_store.insert(tx.connection, account)
    return account


async def _see_device(
    parts: Parts, tx: Transaction, user_id: UUID, claim: DeviceClaim, network_address: str
) -> tuple[Device, bool]:
    """Record the device. The only one approved without being asked for is one that nobody could approve."""
    device_id = claim.device_id or parts.ids.new()
    others = await session_store.has_approved_device(tx.connection, user_id, besides=device_id)
    seen = await session_store.upsert_device(
        tx.connection, user_id, device_id, claim.label, network_address[:64], tx.now, approve=not others
    )
    await session_store.forget_devices(tx.connection, user_id, parts.settings.devices_per_user)
    return seen
