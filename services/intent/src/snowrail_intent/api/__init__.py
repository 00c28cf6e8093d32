"""HTTP routes: validate, call a use case, map refusals."""

from snowrail_intent.api.internal import router as internal_router
from snowrail_intent.api.public import router as public_router
from snowrail_intent.api.statistics import router as statistics_router

ROUTERS = (statistics_router, public_router, internal_router)

__all__ = ["ROUTERS"]
