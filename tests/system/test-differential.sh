#!/bin/sh
# Mutated hooks: this program and tests/support/reference.py agree about them.
exec python3 "${top_srcdir:?}/tests/support/differential.py" "${top_builddir:?}/tests/support/observe"
