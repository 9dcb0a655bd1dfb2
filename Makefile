# All commands of a developer. `make` alone lists them.
CARGO ?= cargo
SCRIPTS = .ci/run $(shell grep -rlE --exclude-dir=fixtures '^\#!.*(bash|/sh)' packaging tests fuzz/run)

help: ## print this list
	@awk -F': .*## ' '/^[a-z-]+: .*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## one VM from definition to destruction, on this machine
	tests/setup demo
	tests/demo/run

check: ## the fast tests, with fmt and clippy: no root, no installation, two minutes
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	tests/run check

test: ## all tests
	tests/setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	shellcheck $(SCRIPTS)
	tests/libvirt-up
	$(CARGO) build --workspace --locked
	tests/run all
	tests/live/run

torture: ## every case that `test` samples, hours; ONE_IN=20 of them (docs/reliability.md)
	tests/setup
	$(CARGO) build --workspace --locked
	HPS_TORTURE=$(or $(ONE_IN),1) $(CARGO) test --locked -p ips-server --test faults --test attack -- --nocapture
	HPS_TORTURE=$(or $(ONE_IN),1) $(CARGO) test --locked -p ips-server --test ips privilege -- --nocapture

soak: ## mixed load for MINUTES=10; no resource may grow
	tests/setup
	$(CARGO) build --workspace --locked
	HPS_SOAK_MINUTES=$(or $(MINUTES),10) $(CARGO) test --locked -p ips-server --test faults soak -- --nocapture

bench: ## the benchmark table
	tests/setup
	$(CARGO) build --release --locked -p ips-server
	$(CARGO) build --profile node --locked -p node-tool
	tests/bench/run

fuzz: ## all fuzz targets, MINUTES=10 each (fuzz/README.md)
	fuzz/run $(or $(MINUTES),10)

static: ## static musl n_vm and ips-server in dist/static, checked
	packaging/static/build $(STATIC)

man: ## the manual pages in dist/man
	packaging/man/build dist/man

packages: ## APKs, RPM and deb in dist/packages
	tests/setup
	packaging/build $(PACKAGES)

packages-test: ## install, upgrade and remove these packages in fresh roots
	tests/setup
	tests/packages/run

install: ## n_vm, o_vm, ips-server below DESTDIR; WHAT="node" or "ips" for one of them
	for what in $(or $(WHAT),node ips); do DESTDIR=$(DESTDIR) PREFIX=$(or $(PREFIX),/usr) packaging/install $$what || exit; done

clean: ## remove all build results
	$(CARGO) clean
	rm -rf dist

.PHONY: help demo check test torture soak bench fuzz static man packages packages-test install clean
