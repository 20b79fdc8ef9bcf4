#!/bin/sh
# Brings the pinned coding agents into a virtual environment: `agents.sh .venv`. Each by name, version and hash; none is run.
# `agents.sh .venv by-pip` leaves out what comes by npm.
set -eu
venv=$1

if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    echo "agents: the pinned programs are for Linux on x86_64; bring your own and name them by TRUNKLINE_CLAUDE_PATH, TRUNKLINE_CODEX_PATH, TRUNKLINE_OPENCODE_PATH" >&2
    exit 1
fi

echo "agents 1/2: Claude Code and Codex (some 300 MB)"
"$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/agents.txt

if [ "${2:-}" = by-pip ]; then
    echo "agents 2/2: opencode is LEFT OUT, as asked"
    exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
    echo "agents 2/2: opencode is LEFT OUT: it comes by npm, and there is no npm on this machine"
    exit 0
fi
echo "agents 2/2: opencode, and a model server of others that tests ask for a second opinion"
mkdir -p "$venv/agents"
cp requirements/agents/package.json requirements/agents/package-lock.json requirements/agents/.npmrc "$venv/agents/"
(cd "$venv/agents" && npm ci --ignore-scripts --no-audit --no-fund --omit=peer)
