"""Payments are scored before they move."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from snowrail_events import FraudAssessedV1, FraudAssessV1
from snowrail_fraud.domain.features import Context, Features, features_of
from snowrail_fraud.domain.scoring import Decision, Score
from snowrail_fraud.parts import Parts
from snowrail_fraud.store import assessments as store
from snowrail_fraud.store import knowledge, reviews
from snowrail_fraud.store.assessments import Assessment, NewAssessment
from snowrail_fraud.store.knowledge import Question
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class Scored:
    """What a payment was scored from, and its score."""

    context: Context
    score: Score
    was_cached: bool


async def assess(deliveries: list[Delivery[FraudAssessV1]], tx: Transaction, parts: Parts) -> None:
    """Score payments and answer. A payment asked about again gets its first answer again."""
    commands = {delivery.event.payment_id: delivery for delivery in deliveries}
    answers = await store.find_many(tx.connection, list(commands))
    asked = [delivery for payment_id, delivery in commands.items() if payment_id not in answers]
    if asked:
        inserted = await _assess_new(asked, tx, parts)
        answers |= await store.find_many(tx.connection, [delivery.event.payment_id for delivery in asked])
        await _count(inserted, asked, answers, tx)
    for delivery in deliveries:
        answer = answers[delivery.event.payment_id]
        tx.emit(_told(answer), cause=delivery, version=1)


async def _assess_new(asked: Sequence[Delivery[FraudAssessV1]], tx: Transaction, parts: Parts) -> set[UUID]:
    questions = [_question(delivery.event) for delivery in asked]
    scored = await _score(parts, tx, questions)
    return await store.insert(
        tx.connection,
        [
            NewAssessment(
                payment_id=delivery.event.payment_id,
                intent_id=delivery.event.intent_id,
                user_id=delivery.event.user_id,
                occurrence=delivery.event.occurrence,
                payer=delivery.event.payer,
                recipient=delivery.event.recipient,
                token=delivery.event.token,
                amount=delivery.event.amount,
                context=one.context,
                score=one.score,
                decision=parts.cutoffs.decide(one.score.total),
                was_cached=one.was_cached,
                requested_at=delivery.event.requested_at,
                traceparent=delivery.traceparent,
            )
            for delivery, one in zip(asked, scored, strict=True)
        ],
        tx.now,
    )


async def _count(
    inserted: set[UUID],
    asked: Sequence[Delivery[FraudAssessV1]],
    answers: dict[UUID, Assessment],
    tx: Transaction,
) -> None:
    """Let payments that were really new count for velocity, and queue those held for review."""
    new = [delivery.event for delivery in asked if delivery.event.payment_id in inserted]
    await knowledge.count_velocity(tx.connection, [_question(event) for event in new], tx.now)
    held = [event.payment_id for event in new if answers[event.payment_id].decision is Decision.REVIEW]
    if held:
        await reviews.open_reviews(tx.connection, held, tx.now)


async def describe(parts: Parts, question: Question) -> Score:
    """Score a payment that is only described; nothing is kept of it."""
    async with parts.database.connection() as connection:
        (context,) = await knowledge.contexts(connection, [question], parts.clock.now())
    (score,) = parts.scorer.score([features_of(context)])
    return score


async def _score(parts: Parts, tx: Transaction, questions: Sequence[Question]) -> list[Scored]:
    """Score payments; a context that is the same as one lately gets the same score."""
    contexts = await knowledge.contexts(tx.connection, questions, tx.now)
    features = [features_of(context) for context in contexts]
    keys = [parts.scorer.context_key(one) for one in features]
    known = await store.cached_scores(tx.connection, keys, tx.now)
    missing: dict[bytes, Features] = {
        key: one for key, one in zip(keys, features, strict=True) if key not in known
    }
    fresh = dict(zip(missing, parts.scorer.score(list(missing.values())), strict=True))
    if fresh:
        expires_at = tx.now + timedelta(seconds=parts.settings.fraud_cache_seconds)
        await store.cache_scores(tx.connection, fresh, expires_at)
    scores = known | fresh
    return [Scored(context, scores[key], key in known) for context, key in zip(contexts, keys, strict=True)]


def _question(event: FraudAssessV1) -> Question:
    return Question(event.user_id, event.payer, event.recipient, event.token, event.amount)


def _told(answer: Assessment) -> FraudAssessedV1:
    return FraudAssessedV1(
        payment_id=answer.payment_id,
        score_thousandths=answer.score,
        decision=answer.decision.value,
        reasons=answer.reasons,
        assessed_at=answer.assessed_at,
    )
