"""IS IT PLAUSIBLE: scopes and claims (nouns), the audit (a verb)."""
