"""Pipeline schedules: published orders of passes, their timeline by events, closed forms where one holds."""
