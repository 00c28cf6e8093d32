"""Pure rules of fraud: features, rules, models, scores, reviews."""
