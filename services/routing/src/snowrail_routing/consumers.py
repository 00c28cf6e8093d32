"""Subscribers of routing."""

from snowrail_events import PaymentFailedV1, PaymentSucceededV1, RouteSelectV1
from snowrail_kit.consumer import Consumers
from snowrail_routing import usecases
from snowrail_routing.parts import Parts

consumers: Consumers[Parts] = Consumers()

consumers.on(RouteSelectV1)(usecases.select_routes)
consumers.on(PaymentSucceededV1)(usecases.learn_from_successes)
consumers.on(PaymentFailedV1)(usecases.learn_from_failures)
