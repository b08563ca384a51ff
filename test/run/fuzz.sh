#!/usr/bin/env bash
# Runs every fuzz target of the repository for the given time each.
set -u
time=${1:-60s}
failed=0 ran=0
while read -r pkg; do
	dir=${pkg#sallyport/}
	for f in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | sed 's/func //'); do
		echo "=== $dir $f"
		go test -run '^$' -fuzz "^$f\$" -fuzztime "$time" "./$dir" || failed=$((failed + 1))
		ran=$((ran + 1))
	done
done < <(go list ./...)
echo "$((ran - failed)) passed, $failed failed"
[ "$failed" = 0 ]
