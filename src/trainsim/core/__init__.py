"""Errors, units, specs, ledgers, and the reading of files: what every package stands on."""
