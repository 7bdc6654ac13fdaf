"""Pipeline schedules, one per file, and the simulation of their events, critical paths and bubbles."""
