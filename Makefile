# make test    the tests, on a fresh machine with Go
# make check   what CI checks before the tests: gofmt, golangci-lint, go.mod
# make golden  writes golden files anew: only commit what you understand and want
# make bench   the benchmarks

GO ?= go

.PHONY: test check golden bench fuzz build

test:
	$(GO) test ./...

build:
	$(GO) build -trimpath -o bin/clustersim ./cmd/clustersim

check:
	$(GO) tool -modfile=tools/go.mod golangci-lint run
	$(GO) mod tidy -diff

# the packages that have goldens; CLUSTERSIM_README=1 make golden runs the README's
# blocks too
golden:
	$(GO) test $$(git grep -l '"github.com/clustersim/clustersim/sim/golden"' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

# 5 rounds, as benchstat wants them
bench:
	$(GO) test -run '^$$' -bench . -benchmem -count 5 ./...

# every fuzz target for a short while
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 20s $$pkg || exit 1; \
	  done; done
