#!/bin/sh
# Mutated hooks: this program and tests/reference.py agree about them.
exec python3 "${top_srcdir:?}/tests/differential.py" "${top_builddir:?}/tests/observe"
