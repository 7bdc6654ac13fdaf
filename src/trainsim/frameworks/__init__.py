"""Launch files read as plans and written from plans: one framework a module, ``from_…`` and ``to_…`` its two functions."""
