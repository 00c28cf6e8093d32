"""HTTP routes of accounts."""

from fastapi import APIRouter

from snowrail_accounts.api import administration, people, sign_in

router = APIRouter()
router.include_router(sign_in.router)
router.include_router(people.router)
router.include_router(administration.router)

__all__ = ["router"]
