# Nothing but calls: Hatch, in an environment of its own, does the work.
HATCH := .hatch/bin/hatch
BACKEND ?= memory://demo

.PHONY: demo test

demo: $(HATCH)
	@$(HATCH) run demo '$(BACKEND)'

test: $(HATCH)
	@$(HATCH) run test

$(HATCH): scripts/bootstrap
	@scripts/bootstrap .hatch
