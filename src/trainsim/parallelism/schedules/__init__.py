"""Pipeline schedules, one per file, and the simulation of their events, longest paths and bubbles."""
