# What a person types. `make help` lists it; .ci holds the scripts behind it.
SWIFT ?= swift
PYTHON := .venv/bin/python
# Debug builds without debug-info wrapping; tests on Linux are found through the index. The same flags
# everywhere, or everything rebuilds.
FAST := --enable-index-store -Xswiftc -gnone
# Nothing is resolved late and no path of this machine stays in a program. For small boards: no symbol is
# exported, so that what nobody calls goes; equal functions are one; relocations are packed; of the C++
# library only what Swift's runtime calls is in.
RELEASE := -c release --static-swift-stdlib --disable-local-rpath -Xswiftc -use-ld=lld -Xlinker -z -Xlinker now \
    -Xlinker --no-export-dynamic -Xlinker --icf=safe -Xlinker -z -Xlinker pack-relative-relocs \
    -Xswiftc -L$(CURDIR)/.build/static -Xswiftc -Xclang-linker -Xswiftc -static-libgcc
PROGRAMS := kerb-edge kerb-cpo kerb-sim
# What only a board's agent leaves out: names of letters, see hal/CLinux/small.c, and the index into the unwind
# tables (0.4 MB), which exceptions would need and nothing throws; a debugger reads the tables themselves.
LINK_kerb-edge := -Xlinker --wrap=_swift_stdlib_getScalarName -Xlinker --no-eh-frame-hdr

.PHONY: all release help setup build-debug test test-long lint format journey demo bench deb clean

all: setup-build release ## release build of all programs into .build/release

release:
	@mkdir -p .build/static && ln -sf "$$(clang -print-file-name=libstdc++.a)" .build/static/
	@$(foreach program,$(PROGRAMS),$(SWIFT) build $(RELEASE) $(LINK_$(program)) --product $(program) &&) true

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: setup-build
setup-build:
	@.ci/setup build

setup: ## installs what is missing: Debian packages, and .venv with the independent counterparts
	@.ci/setup all

build-debug:
	@$(SWIFT) build $(FAST) --build-tests

test: setup ## set-up and all tests
	@.ci/test

test-long: setup ## fuzzing, crash loops, two VMs, packages in a clean Debian, arm64, soak; MAY_SKIP="test_arm64 …"
	@.ci/setup long
	@.ci/test --long --may-skip "$(MAY_SKIP)"

lint: setup-build ## format, arrows, sizes, forbidden words
	@$(SWIFT) format lint --strict -r Package.swift Sources Tests hal
	@python3 .ci/house.py

format: ## what lint would complain about, mended
	@$(SWIFT) format --in-place -r Package.swift Sources Tests hal

journey: all ## one booking from search to rating on a site of its own, then ends
	@.build/release/kerb-sim journey

demo: all ## the same, then stays up and prints the console's address; Ctrl-C ends it
	@.build/release/kerb-sim demo

bench: setup all ## ratios against a floor and a peer in one run; BENCH=name for one
	@$(SWIFT) build $(RELEASE) --product kerb-bench
	@Tests/Bench/run $(BENCH)

deb: ## Debian packages into dist/, checked by lintian
	@.ci/setup deb
	@rm -rf dist
	@debian/rules clean binary
	@lintian --fail-on error,warning --tag-display-limit 0 dist/*.deb

clean: ## removes what builds and tests have made
	@rm -rf .build .venv dist demo-data debian/generated
