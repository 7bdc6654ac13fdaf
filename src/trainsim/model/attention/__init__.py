"""Kinds of attention, one per file."""
