# Two commands matter: `make demo` and `make test`. Both set up what they need, under .venv and
# .build, and `make clean` takes it away again.

PYTHON ?= python3
BUILD := $(CURDIR)/.build
BIN := .venv/bin
# Hosts in containers need root; what needs none runs without.
SUDO := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo)
SCRIPTS = $(shell find src vagrant tests deploys -name '*.sh') .ci/run

# Program that must be there, and the Debian package that has it.
PACKAGES := python3-ensurepip:python3-venv dockerd:docker.io docker:docker-cli \
	iptables:iptables mmdebstrap:mmdebstrap ssh:openssh-client busybox:busybox-static

# The tests alone: htpasswd is the yardstick for ours, Chromium reads the report, and gawk is the
# awk of the Red Hat and SUSE families.
TEST_PACKAGES := $(PACKAGES) gawk:gawk htpasswd:apache2-utils chromium:chromium vagrant:vagrant
REGISTRY := $(BUILD)/docker-registry/usr/bin/docker-registry
NGINX := $(BUILD)/nginx/usr/sbin/nginx

# Tests on hosts mostly wait, so that more run at a time than there are cores (see tests/conftest.py).
WORKERS ?= 4
# Without byte code on disk each of a thousand commands would compile regfleet anew.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = $(BIN)/python -m pytest -p no:cacheprovider
SPREAD = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test soak bench unit lint format packages lock floors clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: ## A registry and two clients in containers, provisioned and smoke-tested
	@echo "[1/6] Debian packages"
	@sh vagrant/packages.sh $(BUILD)/installed-packages $(PACKAGES)
	@echo "[2/6] Python environment"
	@$(MAKE) --no-print-directory .venv/complete
	@$(SUDO) $(BIN)/python demo --build $(BUILD) up

test: packages .venv/complete $(REGISTRY) $(NGINX) ## Everything: lint, unit tests, tests on real hosts
	@$(MAKE) --no-print-directory lint; linted=$$?; \
	$(SUDO) env REGFLEET_REGISTRY_BINARY=$(REGISTRY) REGFLEET_NGINX=$(NGINX) $(PYTEST) $(SPREAD) \
		--durations=40 --durations-min=10 tests && exit $$linted

soak: packages .venv/complete $(REGISTRY) $(NGINX) ## At length: a controller killed 100 times, each boundary on each engine, each runtime in each place
	@$(SUDO) env REGFLEET_SOAK=$${REGFLEET_SOAK:-100} REGFLEET_REGISTRY_BINARY=$(REGISTRY) \
		REGFLEET_NGINX=$(NGINX) $(PYTEST) $(SPREAD) tests/faults tests/fleet tests/bench

bench: packages .venv/complete ## How long it takes, beside xargs ssh, pyinfra and Ansible (an hour)
	@$(SUDO) $(BIN)/python tests/bench/bench.py --build $(BUILD)

unit: .venv/complete ## The tests that need no hosts (seconds)
	@$(PYTEST) $(SPREAD) tests/unit

lint: .venv/complete ## ruff, mypy, shellcheck
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/shellcheck $(SCRIPTS)

format: .venv/complete ## Format the code
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

packages:
	@sh vagrant/packages.sh $(BUILD)/installed-packages $(TEST_PACKAGES)

# Unpacked, not installed: the package would bring a service. Without it some tests are skipped.
$(REGISTRY):
	@mkdir -p $(BUILD)/docker-registry
	@cd $(BUILD)/docker-registry && apt-get -qq -o APT::Sandbox::User=root download docker-registry \
		&& dpkg-deb --extract docker-registry_*.deb . || echo "docker-registry cannot be had" >&2

$(NGINX):
	@mkdir -p $(BUILD)/nginx
	@cd $(BUILD)/nginx && apt-get -qq -o APT::Sandbox::User=root download \
		nginx libnginx-mod-http-js libnginx-mod-stream \
		&& for each in *.deb; do dpkg-deb --extract "$$each" . || exit 1; done \
		|| echo "nginx with njs cannot be had" >&2

# The dependencies of pyproject.toml at the versions that requirements.lock pins.
.venv/complete: requirements.lock pyproject.toml
	@rm -f $@
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## Pin the newest versions that pyproject.toml allows, for all and for running alone
	@$(PYTHON) -m venv $(BUILD)/lock
	@$(BUILD)/lock/bin/python -m pip install --quiet uv
	@printf 'hatchling\neditables\n' >$(BUILD)/lock/build-system.in
	@$(BUILD)/lock/bin/uv pip compile --quiet --universal --python-version 3.10 --upgrade \
		--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' \
		--output-file requirements.lock --group dev pyproject.toml $(BUILD)/lock/build-system.in
	@echo hatchling >$(BUILD)/lock/build-system.in
	@cp requirements.lock requirements-run.lock
	@$(BUILD)/lock/bin/uv pip compile --quiet --universal --python-version 3.10 \
		--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' \
		--output-file requirements-run.lock pyproject.toml $(BUILD)/lock/build-system.in

floors: ## The unit tests with the oldest versions that pyproject.toml allows
	@$(PYTHON) -m venv $(BUILD)/floors
	@$(BUILD)/floors/bin/python -m pip install --quiet uv
	@$(BUILD)/floors/bin/uv pip compile --quiet --resolution lowest-direct --no-annotate \
		--output-file $(BUILD)/floors/floors.txt pyproject.toml
	@$(BUILD)/floors/bin/uv pip install --quiet --python $(BUILD)/floors/bin/python \
		--requirement $(BUILD)/floors/floors.txt hypothesis pytest pytest-xdist
	@$(BUILD)/floors/bin/python -m pytest -p no:cacheprovider $(SPREAD) tests/unit

clean: ## Remove all that demo and test made, hosts and engine included
	@[ ! -x $(BIN)/python ] || $(SUDO) $(BIN)/python demo --build $(BUILD) clean
	@if [ -s $(BUILD)/installed-packages ]; then \
		echo "Packages stay. To remove those that were installed here:"; \
		echo "  $(strip $(SUDO) apt-get purge) $$(sort -u $(BUILD)/installed-packages | tr '\n' ' ')"; \
	fi
	@$(SUDO) rm -rf $(BUILD) .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec $(SUDO) rm -rf {} +
