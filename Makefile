.PHONY: check full test lint types examples

check:            ## what CI runs first
	.ci/run
full:             ## and what it runs after
	.ci/run full
test:
	pytest
lint:
	ruff check . && ruff format --check .
types:
	mypy
examples:
	mkdir -p out && cd out && for e in ../examples/*.py; do python $$e || exit 1; done
