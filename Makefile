# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What there is to do with this repository, one target each: `make help` lists them. The work is done by the scripts
# in tools/, which can be called without make, too.

# The makefiles of libbpf and libelf would run `rm -f` on a piece of it.
ifneq ($(words $(CURDIR)),1)
$(error The path $(CURDIR) contains a space, which the makefiles of libbpf and libelf do not support: move the directory)
endif

PREFIX ?= /usr/local
DESTDIR ?=
GROUP_BY ?= cgroup,interface

# Below cargo the libraries' own makefiles run, and they must not see this one's flags: `make install DESTDIR=...` would
# install libbpf's headers there.
MAKEOVERRIDES =
unexport MAKEFLAGS MFLAGS PREFIX DESTDIR
# Where the guest lab looks for binaries.
export CARGO_TARGET_DIR = target

binary = $(CARGO_TARGET_DIR)/release/netstacklat

.PHONY: help
help: ## list the targets (the default)
	@echo 'Usage: make TARGET'
	@echo
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: ## measure: live traffic on this host, or synthetic traffic in a guest where the host's kernel forbids tracing
	@tools/run

.PHONY: build
build: ## the release binary, target/release/netstacklat
	@tools/install-deps build
	cargo build --release --locked

.PHONY: test
test: ## the tests of every change: on this host, and in guests on each supported kernel (KERNELS="6.1 6.12" for some)
	@tools/install-deps build guest exporter
	@tools/test

.PHONY: test-all
test-all: ## all tests, each on each kernel and at full length, of the release build (for a release; an hour)
	@tools/install-deps build guest exporter
	@tools/test --all

.PHONY: lint
lint: ## formatting, clippy, warnings, documentation, scripts, licence lines
	@tools/install-deps build lint
	@tools/lint

.PHONY: bench
bench: ## what each hook costs, in guest instructions
	@tools/install-deps build guest
	tools/bench

.PHONY: soak
soak: ## ten minutes at full load in a guest: memory stays flat, nothing is lost
	@tools/install-deps build guest
	tools/soak

.PHONY: fuzz
fuzz: ## made-up run files, durations and limits, five minutes each (FUZZ_SECONDS=300); the corpus is kept
	@tools/install-deps build fuzz
	tools/fuzz

.PHONY: scenario
scenario: ## a comparison in a guest that must find what is known: NAME=iptables-25k (others: without NAME; KERNEL=6.1)
	@tools/install-deps build guest
	@tools/scenario $(if $(KERNEL),--kernel '$(KERNEL)') '$(NAME)'

.PHONY: bpf
bpf: ## the objects for ebpf_exporter, beside their configuration in exporter/ (GROUP_BY=cgroup,interface: what the grouped one counts by)
	@tools/install-deps build
	tools/exporter-objects exporter '$(GROUP_BY)'

.PHONY: install
install: ## install the binary, man pages, completions, documents, and what there is for ebpf_exporter (PREFIX=/usr/local, DESTDIR=, DOCS_URL=)
	@for object in $(wildcard exporter/*.bpf.o exporter/before-5.19/*.bpf.o); do \
		[ ! $(binary) -nt "$$object" ] || { \
			echo "$$object is older than $(binary): run \`make bpf\` again, or remove it" >&2; exit 1; }; \
	done
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' DOCS_URL='$(DOCS_URL)' tools/install $(binary)

.PHONY: uninstall
uninstall: ## remove what `make install` has put there (the same PREFIX= and DESTDIR=)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' tools/install --remove

.PHONY: generated
generated: ## make all that is made from the sources again: docs/man/*.1, the JSON Schema and its tables, exporter/*.yaml, alerts.yml, the dashboard
	@tools/install-deps build
	cargo run --quiet --locked --example generated

.PHONY: dashboard-picture
dashboard-picture: ## draw exporter/dashboard.svg: a guest with traffic, the real exporter and Prometheus, each panel's queries
	@tools/install-deps build guest exporter
	mkdir -p target
	tools/vm/test 6.12 -- exporter::picture >target/dashboard-answers
	cargo run --quiet --locked --manifest-path tools/picture/Cargo.toml --target-dir target/picture -- \
		exporter/grafana-netstacklat.json target/dashboard-answers >target/dashboard.svg
	mv target/dashboard.svg exporter/dashboard.svg

.PHONY: picture
picture: ## record docs/netstacklat.svg, the picture of README: a session in a guest with traffic
	@tools/install-deps build guest
	cargo build --locked
	mkdir -p target
	tools/terminal-picture >target/netstacklat.svg
	mv target/netstacklat.svg docs/netstacklat.svg

.PHONY: clean
clean: ## remove what was built (guest kernels stay in their cache)
	cargo clean
	rm -rf exporter/*.bpf.o exporter/before-5.19

.PHONY: deps
deps: ## install the packages that building, testing and linting need
	@tools/install-deps

.PHONY: caches
caches: ## fetch the guests' kernels and build ebpf_exporter, unless they are cached (tests do it when needed)
	@tools/install-deps build guest exporter
	tools/vm/fetch
	tools/ebpf-exporter

.PHONY: vmlinux
vmlinux: ## make vmlinux/vmlinux.h again from vmlinux/types.txt
	@tools/install-deps guest
	vmlinux/generate
