"""Pipeline schedules: one a file, found by name; their events, critical paths and waits beside them."""
