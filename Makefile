# Nothing but calls: Hatch, in an environment of its own, does the work.
HATCH := .hatch/bin/hatch
BACKEND ?= memory://demo
export PATH := $(CURDIR)/.hatch/bin:$(PATH)

.PHONY: demo test

demo: $(HATCH)
	@hatch run demo '$(BACKEND)'

test: $(HATCH)
	@hatch run test

$(HATCH): scripts/bootstrap
	@scripts/bootstrap .hatch
