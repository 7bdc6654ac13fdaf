"""Nouns of a claim: what was said, and which costs it covers."""
