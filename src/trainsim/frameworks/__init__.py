"""Launch files of training frameworks, read as plans and written from them."""
