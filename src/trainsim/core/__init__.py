"""Errors, units, specs, ledgers and input files: the foundation of every other package."""
