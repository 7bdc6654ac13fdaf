"""Monitoring of a run while it trains: measured and predicted steps, and a projection of the whole run."""
