"""Runs, and the questions about a run: estimate, compare, explain."""
