#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Shell scripts parse; with shellcheck installed, they are also free of what it warns of.
cd "${top_srcdir:?}" || exit 1
set -- bootstrap .ci/run
for script in $(find tests packaging -type f \( -name '*.sh' -o -perm -u+x \) | sort); do
        case $(head -n 1 "$script") in
        '#!/bin/sh'* | '#!/bin/bash'* | '#!/usr/bin/env bash'*) set -- "$@" "$script" ;;
        esac
done
echo "1..$#"
n=0
status=0
for script; do
        n=$((n + 1))
        shell='sh'
        head -n 1 "$script" | grep -q bash && shell='bash'
        report=$($shell -n "$script" 2>&1) &&
                if command -v shellcheck >/dev/null; then
                        report=$(shellcheck -S warning "$script" 2>&1)
                fi
        if [ $? -eq 0 ]; then
                echo "ok $n - $script"
        else
                echo "$report" | sed 's/^/# /'
                echo "not ok $n - $script"
                status=1
        fi
done
exit $status
