.PHONY: check full test lint types examples calibrate pages site

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
site:             ## build the documentation site in out/site (the extra "docs")
	mkdocs build --strict && python tests/site_crawl.py out/site
pages:            ## write the pages of claims, hindcasts and the public names anew; look at the difference
	python tests/auditing/test_pages.py && python tests/test_api.py && python tests/test_site.py
calibrate:        ## fit the stacks again: make calibrate ROWS="runs.json steps.csv"
	OMP_NUM_THREADS=1 python benchmarks/step/calibrate.py $(ROWS)
