"""Every rule on both sides of its threshold, and how rules and models become a score and a decision."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import inf, log, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from snowrail_fraud.clients import load_model
from snowrail_fraud.domain.features import FEATURE_NAMES, Features
from snowrail_fraud.domain.model import LogisticModel, Model, vector
from snowrail_fraud.domain.review import IllegalTransition, ReviewEvent, ReviewState, transition
from snowrail_fraud.domain.rules import RULES, RuleSet, Thresholds
from snowrail_fraud.domain.scoring import Cutoffs, Decision, Scorer
from snowrail_fraud.settings import Settings

QUIET = Features(
    sanctioned=0,
    reported=0,
    look_alike=0,
    payee_payments=3,
    hour_payments=0,
    day_payments=2,
    history_payments=10,
    amount_ratio=1_000,
    above_largest=0,
    hour_ratio=500,
    day_ratio=1_500,
    account_known=1,
    account_age_hours=720,
    device_age_hours=168,
    business=0,
)
FIRING: dict[str, dict[str, int]] = {
    "sanctioned_address": {"sanctioned": 1},
    "reported_address": {"reported": 1},
    "look_alike_payee": {"look_alike": 1},
    "velocity_hour": {"hour_payments": 60},
    "velocity_day": {"day_payments": 300},
    "amount_velocity_hour": {"hour_ratio": 5_001},
    "amount_velocity_day": {"day_ratio": 10_001},
    "amount_unusual": {"amount_ratio": 10_001, "above_largest": 1},
    "device_new": {"device_age_hours": 23},
    "account_unknown": {"account_known": 0, "account_age_hours": 0},
    "account_fresh": {"account_age_hours": 23},
    "payee_new": {"payee_payments": 0},
}
SILENT: list[dict[str, int]] = [
    {"hour_payments": 59},
    {"day_payments": 299},
    {"hour_payments": 5_999, "business": 1},
    {"day_payments": 9_999, "business": 1},
    {"hour_ratio": 5_000},
    {"day_ratio": 10_000},
    {"amount_ratio": 10_000, "above_largest": 1},
    {"amount_ratio": 1_000_000},
    {"device_age_hours": 24},
    {"account_age_hours": 24},
    {"payee_payments": 1},
]
RULE_SET = RuleSet(Thresholds())


def test_every_rule_is_tried_here() -> None:
    assert list(FIRING) == [rule.code for rule in RULES]
    assert len({rule.code for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("code", FIRING)
def test_a_rule_fires_alone_with_its_weight(code: str) -> None:
    rule = next(rule for rule in RULES if rule.code == code)
    verdict = RULE_SET.judge(replace(QUIET, **FIRING[code]))
    assert verdict.reasons == (code,)
    assert (verdict.score, verdict.floor) == (rule.weight, rule.floor)
    assert rule.floor <= rule.weight


@pytest.mark.parametrize("changed", SILENT)
def test_what_is_usual_raises_no_suspicion(changed: dict[str, int]) -> None:
    verdict = RULE_SET.judge(replace(QUIET, **changed))
    assert (verdict.score, verdict.floor, verdict.reasons) == (0, 0, ())


def test_a_business_may_pay_more_often_but_not_without_end() -> None:
    many = replace(QUIET, business=1, hour_payments=6_000)
    assert RULE_SET.judge(many).reasons == ("velocity_hour",)


def test_suspicions_add_up_and_never_beyond_certainty() -> None:
    codes = [code for code in FIRING if code not in ("account_unknown",)]
    for first, second in combinations(codes, 2):
        both = RULE_SET.judge(replace(QUIET, **FIRING[first], **FIRING[second]))
        alone = [RULE_SET.judge(replace(QUIET, **FIRING[code])).score for code in (first, second)]
        assert both.reasons == tuple(code for code in FIRING if code in (first, second))
        assert max(alone) <= both.score <= min(1000, sum(alone))
    everything: dict[str, int] = {}
    for code in codes:
        everything |= FIRING[code]
    assert RULE_SET.judge(replace(QUIET, **everything)).score == 1000


def test_a_first_payment_of_a_new_user_to_a_new_payee_is_allowed() -> None:
    first = replace(QUIET, account_age_hours=0, payee_payments=0, history_payments=0)
    verdict = RULE_SET.judge(first)
    assert (verdict.score, verdict.reasons) == (190, ("account_fresh", "payee_new"))
    assert Settings().cutoffs.decide(verdict.score) is Decision.ALLOW


def test_weights_can_be_set_and_a_weight_of_zero_switches_a_rule_off() -> None:
    rules = RuleSet(Thresholds(), {"payee_new": 0, "account_fresh": 999})
    verdict = rules.judge(replace(QUIET, account_age_hours=0, payee_payments=0))
    assert (verdict.score, verdict.reasons) == (999, ("account_fresh",))
    assert rules.version != RULE_SET.version
    assert RuleSet(Thresholds()).version == RULE_SET.version
    assert RuleSet(Thresholds(hour_payments=61)).version != RULE_SET.version
    for bad in ({"no_rule": 1}, {"payee_new": 1001}, {"payee_new": -1}):
        with pytest.raises(ValueError, match="no rule"):
            RuleSet(Thresholds(), bad)


class FixedModel:
    """A model that always says the same."""

    def __init__(self, score: int, version: str = "fixed-1") -> None:
        self.version = version
        self._score = score

    def score(self, features: Sequence[Features]) -> list[int]:
        return [self._score] * len(features)


def scorer(model: Model | None, share: int = 500) -> Scorer:
    return Scorer(RULE_SET, model, share)


def test_without_a_model_the_rules_score_alone() -> None:
    (score,) = scorer(None).score([replace(QUIET, payee_payments=0)])
    assert (score.total, score.rules, score.model, score.model_version) == (100, 100, None, None)
    assert score.rules_version == RULE_SET.version


@pytest.mark.parametrize(
    ("model", "share", "total", "reasons"),
    [
        (0, 500, 50, ("payee_new",)),
        (1000, 500, 550, ("payee_new", "model")),
        (1000, 0, 100, ("payee_new",)),
        (777, 1000, 777, ("payee_new", "model")),
        (101, 500, 101, ("payee_new", "model")),
    ],
)
def test_a_model_is_blended_with_the_rules(
    model: int, share: int, total: int, reasons: tuple[str, ...]
) -> None:
    (score,) = scorer(FixedModel(model), share).score([replace(QUIET, payee_payments=0)])
    assert (score.total, score.reasons) == (total, reasons)
    assert (score.rules, score.model, score.model_version) == (100, model, "fixed-1")


@pytest.mark.parametrize(
    ("code", "decision"),
    [
        ("sanctioned_address", Decision.BLOCK),
        ("reported_address", Decision.REVIEW),
        ("look_alike_payee", Decision.REVIEW),
    ],
)
def test_no_model_talks_away_a_listed_or_imitated_address(code: str, decision: Decision) -> None:
    for model in (None, FixedModel(0)):
        (score,) = scorer(model, 1000).score([replace(QUIET, **FIRING[code])])
        assert Settings().cutoffs.decide(score.total) is decision


some_features = st.builds(
    Features, **{name: st.integers(0, 1_000_000 if "ratio" in name else 10_000) for name in FEATURE_NAMES}
)


@given(some_features, st.integers(0, 1000), st.integers(0, 1000))
def test_scores_stay_within_bounds_and_above_floors(features: Features, model: int, share: int) -> None:
    (score,) = scorer(FixedModel(model), share).score([features])
    verdict = RULE_SET.judge(features)
    assert 0 <= score.total <= 1000
    assert score.total >= verdict.floor
    assert min(verdict.score, model) <= score.total or score.total == verdict.floor
    assert score.total <= max(verdict.score, model, verdict.floor)


@given(some_features, some_features)
def test_equal_contexts_share_a_key_and_others_do_not(one: Features, other: Features) -> None:
    keys = scorer(None)
    assert (keys.context_key(one) == keys.context_key(other)) == (one == other)
    assert keys.context_key(one) != scorer(FixedModel(0)).context_key(one)
    assert scorer(FixedModel(0)).context_key(one) != scorer(FixedModel(0, "fixed-2")).context_key(one)
    assert scorer(FixedModel(0)).context_key(one) != scorer(FixedModel(0), 400).context_key(one)


@pytest.mark.parametrize(
    ("score", "decision"),
    [
        (0, Decision.ALLOW),
        (599, Decision.ALLOW),
        (600, Decision.REVIEW),
        (899, Decision.REVIEW),
        (900, Decision.BLOCK),
        (1000, Decision.BLOCK),
    ],
)
def test_decisions(score: int, decision: Decision) -> None:
    assert Cutoffs(600, 900).decide(score) is decision


@pytest.mark.parametrize(("review", "block"), [(0, 900), (901, 900), (600, 1001), (-1, 5)])
def test_cutoffs_are_in_order(review: int, block: int) -> None:
    with pytest.raises(ValueError, match="required"):
        Cutoffs(review, block)


def test_settings_are_checked_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOWRAIL_FRAUD_RULE_WEIGHTS", '{"payee_new": 50}')
    assert Settings().rules.judge(replace(QUIET, payee_payments=0)).score == 50
    monkeypatch.setenv("SNOWRAIL_FRAUD_RULE_WEIGHTS", '{"nothing": 50}')
    with pytest.raises(ValidationError, match="no rule nothing"):
        Settings()
    monkeypatch.delenv("SNOWRAIL_FRAUD_RULE_WEIGHTS")
    monkeypatch.setenv("SNOWRAIL_FRAUD_REVIEW_SCORE", "950")
    with pytest.raises(ValidationError, match="required"):
        Settings()


def test_a_logistic_model_scores_between_nothing_and_certainty() -> None:
    model = LogisticModel("2026-01", -2.0, {"look_alike": 4.0, "amount_ratio": 0.5})
    even = LogisticModel("even", 0.0, {})
    assert model.version == "2026-01"
    assert even.score([QUIET]) == [500]
    calm, alarmed = model.score([replace(QUIET, amount_ratio=0), replace(QUIET, look_alike=1)])
    assert calm == 119  # 1 / (1 + e^2)
    assert alarmed > 900
    assert LogisticModel("sure", 10_000.0, {}).score([QUIET]) == [1000]
    assert LogisticModel("calm", -10_000.0, {}).score([QUIET]) == [0]
    assert vector(replace(QUIET, payee_payments=9))["payee_payments"] == pytest.approx(log(10))


@pytest.mark.parametrize(
    ("intercept", "weights"),
    [(0.0, {"colour": 1.0}), (nan, {}), (inf, {}), (0.0, {"look_alike": inf})],
)
def test_a_model_that_cannot_score_is_refused(intercept: float, weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"feature|finite"):
        LogisticModel("bad", intercept, weights)


def test_a_model_is_loaded_from_its_file(tmp_path: Path) -> None:
    assert load_model(None) is None
    path = tmp_path / "model.json"
    path.write_text('{"version": "2026-01", "intercept": 0, "weights": {"look_alike": 1.5}}')
    model = load_model(path)
    assert model is not None
    assert model.version == "2026-01"
    for text in ("", "{}", '{"version": "", "intercept": 0, "weights": {}}', '{"version": "x", "more": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError):
            load_model(path)


@pytest.mark.parametrize("state", ReviewState)
@pytest.mark.parametrize("event", ReviewEvent)
def test_a_review_is_decided_once(state: ReviewState, event: ReviewEvent) -> None:
    after: Any = transition(state, event)
    if state is ReviewState.OPEN:
        assert (
            after
            is {
                ReviewEvent.APPROVE: ReviewState.APPROVED,
                ReviewEvent.DENY: ReviewState.DENIED,
                ReviewEvent.WITHDRAW: ReviewState.WITHDRAWN,
            }[event]
        )
    else:
        assert after == IllegalTransition(state, event)
