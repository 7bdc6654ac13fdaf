"""Launch files of training frameworks, read as plans and written from plans: one module per framework."""
