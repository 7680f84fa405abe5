# What a person or a build server says. Everything else is cargo and the scripts in packaging/dev.

SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/axion-agent/target
export CARGO_TERM_COLOR ?= auto
ARCH ?= x86_64
N ?= 1000
static_agent = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/axion-agent/static/$(ARCH)/axion-agent
current_engine = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/axion-agent/engine-current
dev := packaging/dev

.PHONY: help demo test test-engines lint fuzz mutations soak search torture bounce delivery deploy-bench render-bench telemetry-bench footprint order growth engine-cost build pages static test-static image size clean
help:                ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|'

demo:                ## install what is missing, build, deploy a stack and watch it, clean up
	@$(dev)/setup.sh build bed
	@cargo build --locked --release --bin axion-agent --example control_plane
	@$(dev)/demo.sh "$$CARGO_TARGET_DIR/release"

test:                ## install what is missing, build, run every test, clean up
	@$(dev)/setup.sh build bed
	@$(dev)/test.sh

engine_tests := --test docker --test deploy --test failing --test mutations --test rounds --test end_to_end

test-engines:        ## the tests of what is done to an engine, with the machine's own and with a current one (40 minutes)
	@$(dev)/setup.sh build bed engines
	@$(dev)/engine-root.sh "$(current_engine)"
	@$(dev)/test.sh $(engine_tests)
	@AXION_TEST_ENGINE_ROOT="$(current_engine)" $(dev)/test.sh $(engine_tests)

lint:                ## formatting, clippy, scripts, dependencies, the systemd unit
	@$(dev)/setup.sh build lint
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	shellcheck $(dev)/*.sh packaging/*.sh packaging/static/*.sh .ci/run
	@$(dev)/check-dependencies.sh
	@$(dev)/check-unit.sh
	! command -v actionlint >/dev/null || actionlint

fuzz:                ## mutated Compose files, merges and values for MINUTES=60 each, side by side; 64 MiB and a time for each text
	@$(dev)/setup.sh build
	AXION_FUZZ_MINUTES=$(or $(MINUTES),60) cargo test --locked --release --test stack_fuzz -- --nocapture

# N is a thousand where nobody says otherwise, for the torture.
mutated = $(if $(filter command line,$(origin N)),$(N),200)

mutations:           ## what plans predict of the tasks beside what becomes of them, for N=200 services that change, on either engine (15 minutes)
	@$(dev)/setup.sh build bed engines
	@$(dev)/engine-root.sh "$(current_engine)"
	AXION_TEST_MUTATIONS=$(mutated) $(dev)/test.sh --test mutations
	AXION_TEST_MUTATIONS=$(mutated) AXION_TEST_ENGINE_ROOT="$(current_engine)" $(dev)/test.sh --test mutations

soak:                ## the long runs: 200 commands while the agent is away, 20 kills of the control plane, 200 deploys on a small disk (half an hour)
	@$(dev)/setup.sh build bed
	cargo build --locked --example control_plane
	AXION_TEST_SOAK=200 cargo test --locked --test failures -- forty
	AXION_TEST_KILLS=20 cargo test --locked --test session -- killed_again
	AXION_TEST_DEPLOYS=200 cargo test --locked --test failing -- many_images

# Optimised: the agent's own code alone, so that nothing else has to be built again.
search:              ## the delivery protocol, every step in every order: the long form (ten minutes, 1.5 GiB)
	@$(dev)/setup.sh build
	AXION_SEARCH=1 cargo test --locked --config 'profile.dev.package.axion-agent.opt-level=3' --lib search:: -- --nocapture --test-threads=1

torture:             ## crashes at every step, three times and again in the recovery, N kills at random moments, and `make bounce` (N=1000: three hours)
	@$(dev)/setup.sh build bed
	AXION_TORTURE=$(N) $(dev)/test.sh --test torture

bounce:              ## N/10 bounces of the broker, ten minutes of a black hole under load, a backlog of 100000 (N=1000: 45 minutes)
	@$(dev)/setup.sh build bed
	AXION_TORTURE=$(N) $(dev)/test.sh --test torture -- bounces black_hole backlog

# The program that measures is no faster for being optimised; what it measures is.
measure := cargo bench --locked --profile dev --bench footprint

footprint: static    ## what the idle static binary costs, beside its budget (20 minutes; AXION_TEST_AGENT names another)
	@$(dev)/setup.sh build bed
	AXION_TEST_AGENT="$${AXION_TEST_AGENT:-$(static_agent)}" $(dev)/with-broker.sh $(measure)

order: static        ## which functions an idle agent and a deploy run, written down anew for the linker (ten minutes; needs valgrind and a real broker)
	@$(dev)/setup.sh build bed order
	packaging/static/order.sh "$(static_agent).symbols"

growth: static       ## whether its memory grows in 30 minutes (MINUTES) while everything is away
	@$(dev)/setup.sh build bed
	AXION_TEST_AGENT="$${AXION_TEST_AGENT:-$(static_agent)}" FOOTPRINT_GROWTH_MINUTES=$(or $(MINUTES),30) $(measure)

engine-cost: static  ## what an agent costs the engine of fifty containers: its processor time in runs without and with one, four of 5 minutes (MINUTES)
	@$(dev)/setup.sh build bed
	AXION_TEST_AGENT="$${AXION_TEST_AGENT:-$(static_agent)}" FOOTPRINT_ENGINE_MINUTES=$(or $(MINUTES),5) $(measure)

# The agent's own code is optimised: the pace of a release, without building gRPC's core once more.
delivery:            ## a backlog, and one command at a time, beside a bare loop of librdkafka on the same broker (five minutes)
	@$(dev)/setup.sh build bed
	AXION_TEST_MEASURE=1 $(dev)/with-broker.sh cargo bench --locked --config 'profile.dev.package.axion-agent.opt-level="s"' --profile dev --bench delivery

deploy-bench: static  ## fifty services deployed, and once more, beside docker stack deploy (two minutes; AXION_TEST_AGENT names another binary)
	@$(dev)/setup.sh build bed
	AXION_TEST_MEASURE=1 AXION_TEST_AGENT="$${AXION_TEST_AGENT:-$(static_agent)}" cargo bench --locked --profile dev --bench deploy

telemetry-bench: static ## a look at fifty containers and a scrape of them, beside `docker stats --no-stream` (three minutes; AXION_TEST_AGENT names another)
	@$(dev)/setup.sh build bed
	AXION_TEST_MEASURE=1 AXION_TEST_AGENT="$${AXION_TEST_AGENT:-$(static_agent)}" \
		cargo test --locked --test telemetry -- beside_docker_stats

render-bench:        ## how long `render` takes for 200 services on 5000 lines, beside `docker stack config` (AXION_TEST_AGENT names another binary)
	@$(dev)/setup.sh build bed
	cargo build --locked --release --bin axion-agent
	AXION_TEST_AGENT="$${AXION_TEST_AGENT:-$$CARGO_TARGET_DIR/release/axion-agent}" cargo bench --locked --profile dev --bench render

build:               ## the release binary
	@$(dev)/setup.sh build
	cargo build --locked --release --bin axion-agent
	@ls -l "$$CARGO_TARGET_DIR/release/axion-agent"

pages: build         ## manual pages and completions, written by the release binary, as a package installs them below /usr/share
	@packaging/pages.sh "$$CARGO_TARGET_DIR/release/axion-agent" "$$CARGO_TARGET_DIR/share"
	@echo "$$CARGO_TARGET_DIR/share"

static:              ## one static binary for Linux: x86_64, or ARCH=aarch64
	@$(dev)/setup.sh build static $(if $(filter $(ARCH),$(shell uname -m)),,emulation)
	@packaging/static/build.sh "$(ARCH)"
	@packaging/static/check.sh "$(ARCH)"

test-static: static  ## the tests of the whole agent with the static binary, beside a real broker if there is one
	@$(dev)/setup.sh build bed
	@cargo build --locked --example control_plane
	@AXION_TEST_AGENT="$(static_agent)" $(dev)/test.sh --test doctor --test end_to_end --test failures --test network --test secure --test session --test unit

image: static        ## a container image that holds the static binary alone, by the Docker Engine of this machine
	docker build -f packaging/Dockerfile -t axion-agent:latest "$(dir $(static_agent))"
	@$(dev)/check-image.sh axion-agent:latest

size: static         ## the static binary's size beside its budget
	@packaging/static/size.sh "$(ARCH)"

clean:               ## remove what was built
	cargo clean
