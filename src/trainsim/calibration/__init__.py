"""Measured steps, the fit of a software stack's constants to them, and its cross-validation."""
