#!/bin/bash
# Installs what is needed, builds everything and runs every check: format, includes, all tests, and
# the unit tests again under the address and undefined-behaviour sanitizers.
set -euo pipefail
cd "$(dirname "$0")"

tools/setup.sh --browser
tools/check_format.sh
tools/check_includes.py
cmake --workflow --preset check
echo "Skipped tests:"
grep -h --no-group-separator -B1 '^\[  SKIPPED \].* ms)$' build/dev/Testing/Temporary/LastTest.log || echo none
cmake --preset asan
cmake --build --preset asan
ctest --preset asan
