#!/bin/sh
# Prints the first Python that is 3.11 or newer and can make a virtual environment; else says what to do.

fits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for name in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3 python; do
    [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && fits "$name" || continue
    if "$name" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        command -v "$name"
        exit 0
    fi
    bare=$name
done

if [ -n "${bare:-}" ]; then
    echo "setup: $bare cannot make a virtual environment, because its venv or ensurepip module is not installed." >&2
    echo "       On Debian or Ubuntu: apt-get install $("$bare" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2
else
    echo "setup: no Python 3.11 or newer was found on PATH. Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
fi
exit 1
