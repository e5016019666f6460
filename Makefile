# `make demo` shows it, `make test` checks everything; `make help` lists the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test bench bench-growth bench-peer simulate fuzz fire soak up down \
        deps check-format check-lints check-tests check-miri check-mutations check-instructions \
        check-alerts check-demo

# Minutes that a stage of `make test` may take on 2 cores, builds included.
DEPS_MINUTES      := 5
FORMAT_MINUTES    := 1
LINTS_MINUTES     := 12
TESTS_MINUTES     := 38
MIRI_MINUTES      := 6
MUTATIONS_MINUTES := 8
INSTRUCTIONS_MINUTES := 12
ALERTS_MINUTES    := 1
DEMO_MINUTES      := 12

# Seeds of `make simulate`.
SEEDS ?= 2000

# Seconds of `make fuzz` for each decoder, and which.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

# Runs of each program of `make bench-peer`, and the events of each.
RUNS ?= 3
EVENTS ?= 2000000

# How long `make fire` and `make soak` take.
FIRE_MINUTES ?= 10
SOAK_MINUTES ?= 30

# $(call stage,name,minutes,command): runs the command without input, ends it and all that it
# started when the time is over, and tells how long it took.
define stage
	@echo "=== $(1)"; start=$$(date +%s); \
	timeout --kill-after=10s $(2)m $(3) </dev/null & \
	trap "kill -TERM $$!" INT TERM; \
	code=0; wait $$! || code=$$?; \
	seconds=$$(( $$(date +%s) - start )); \
	if [ $$code -eq 124 ] || [ $$code -eq 137 ]; then \
	  echo "=== $(1): not done in its $(2) min (see the Makefile)" >&2; \
	elif [ $$code -ne 0 ]; then \
	  echo "=== $(1): failed with $$code after $$seconds s" >&2; \
	else \
	  echo "=== $(1): $$seconds s of $(2) min"; \
	fi; \
	exit $$code
endef

help:
	@echo "make demo      build, and stream real orders through the whole path (no Kafka needed)"
	@echo "make test      install or name what is needed; format, lints, all tests, Miri, alerts, demo"
	@echo "make bench     benchmarks; at the end one table of what each step takes"
	@echo "make bench-growth  what more customers, tasks, timers and cores cost; draws docs/growth-*.svg"
	@echo "make bench-peer  beside a Kafka Streams program of the same job; RUNS=$(RUNS) EVENTS=$(EVENTS)"
	@echo "make simulate  the runtime on a simulated broker; SEEDS=$(SEEDS)"
	@echo "make fuzz      every decoder with libFuzzer; FUZZ_SECONDS=$(FUZZ_SECONDS) for each"
	@echo "make fire      three brokers and three instances, all of them hit; FIRE_MINUTES=$(FIRE_MINUTES)"
	@echo "make soak      memory, descriptors, commits over time; SOAK_MINUTES=$(SOAK_MINUTES)"
	@echo "make up, down  Kafka, registry, ebbflow, Prometheus in containers; down removes the data"

demo:
	cargo run --release --locked --bin ebbflow -- demo

test:
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory check-format
	@$(MAKE) --no-print-directory check-lints
	@$(MAKE) --no-print-directory check-tests
	@$(MAKE) --no-print-directory check-miri
	@$(MAKE) --no-print-directory check-mutations
	@$(MAKE) --no-print-directory check-instructions
	@$(MAKE) --no-print-directory check-alerts
	@$(MAKE) --no-print-directory check-demo

bench:
	cargo bench --locked --bench codec --bench dimensions --bench task --bench end_to_end --bench restart
	cargo bench --locked --bench table

bench-growth:
	SVG=docs cargo bench --locked --bench growth

bench-peer:
	RUNS=$(RUNS) EVENTS=$(EVENTS) cargo bench --locked --bench peer

simulate:
	SIM_SEEDS=$(SEEDS) cargo test --release --locked --test simulation -- --nocapture

# Fewer bytes than one record may have, and far less memory than a bomb would take. Begins with what
# covered the most so far.
fuzz:
	@cargo +nightly fuzz --version >/dev/null || { \
	  echo "needs: rustup toolchain install nightly; cargo install cargo-fuzz" >&2; exit 1; }
	@mkdir -p fuzz/corpus; [ -n "$$(ls -A fuzz/corpus)" ] || tar -xJf fuzz/corpus.tar.xz -C fuzz/corpus
	@set -e; for target in $(FUZZ_TARGETS); do \
	  echo "=== fuzz $$target: $(FUZZ_SECONDS) s"; mkdir -p fuzz/corpus/$$target; \
	  cargo +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 \
	    -rss_limit_mb=1024 -malloc_limit_mb=64 -print_final_stats=1; \
	done

fire:
	FIRE_MINUTES=$(FIRE_MINUTES) cargo test --release --locked --test fire -- --nocapture

soak:
	MALLOC_ARENA_MAX=2 SOAK_MINUTES=$(SOAK_MINUTES) \
	cargo test --release --locked --test soak -- --nocapture

up:
	docker compose up --build --detach --wait

down:
	docker compose down --volumes

deps:
	$(call stage,deps,$(DEPS_MINUTES),.ci/deps)

check-format:
	$(call stage,format,$(FORMAT_MINUTES),cargo fmt --check)

check-lints:
	$(call stage,lints,$(LINTS_MINUTES),cargo clippy --all-targets --all-features --locked -- -D warnings)

check-tests:
	$(call stage,tests,$(TESTS_MINUTES),cargo test --locked --no-fail-fast)

check-miri:
	$(call stage,miri,$(MIRI_MINUTES),.ci/miri)

check-mutations:
	$(call stage,mutations,$(MUTATIONS_MINUTES),cargo test --locked --features mutations --test simulation -- mutations --nocapture)

check-instructions:
	$(call stage,instructions,$(INSTRUCTIONS_MINUTES),cargo bench --locked --bench instructions)

check-alerts:
	$(call stage,alerts,$(ALERTS_MINUTES),promtool check config config/prometheus.yml)
	$(call stage,alert rules,$(ALERTS_MINUTES),promtool test rules config/alerts.test.yml)

check-demo:
	$(call stage,demo,$(DEMO_MINUTES),$(MAKE) --no-print-directory demo)
