#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every manual page is well-formed mdoc, as mandoc sees it.
if ! command -v mandoc >/dev/null; then
        echo "1..0 # SKIP mandoc is not installed"
        exit 0
fi
set -- "${top_srcdir:?}"/src/man/*.[1-9]
echo "1..$#"
n=0
status=0
for page; do
        n=$((n + 1))
        if report=$(mandoc -T lint -W warning "$page" 2>&1) && [ -z "$report" ]; then
                echo "ok $n - $(basename "$page")"
        else
                echo "$report" | sed 's/^/# /'
                echo "not ok $n - $(basename "$page")"
                status=1
        fi
done
exit $status
