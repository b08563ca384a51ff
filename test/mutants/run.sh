#!/usr/bin/env bash
# Removes one guard at a time and sees its test go red. Each *.patch here says
# in its first line which test must fail:
#
#	# test: go test ./internal/sandbox -run TestX
#
# A mutant is killed when the test passes without the patch and fails with it.
# The checkout is never touched: everything happens in a temporary copy of its
# files, as they are, committed or not. Exit status 1 if a mutant survives, does
# not apply, does not compile, or if its test fails without it.
#
#	test/mutants/run.sh [NAME ...]     all, or those whose name begins so
set -u
cd "$(dirname "$0")/../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT
git ls-files -co --exclude-standard -z | tar --null --ignore-failed-read -T - -cf - 2>/dev/null | tar -xf - -C "$work"
export GOFLAGS="${GOFLAGS:--buildvcs=false}" CGO_ENABLED="${CGO_ENABLED:-0}"

wanted() { # NAME PATTERN...
	local name=$1
	shift
	[ $# -eq 0 ] && return 0
	local p
	for p; do case $name in "$p"*) return 0 ;; esac; done
	return 1
}

declare -A sound # tests that pass without any patch
killed=0 bad=0
report() { printf '%-9s %-36s %s\n' "$1" "$2" "$3"; }
for patch in test/mutants/*.patch; do
	name=$(basename "$patch" .patch)
	wanted "$name" "$@" || continue
	test=$(sed -n '1s/^# test: //p' "$patch")
	case $test in
	"go test "*) ;;
	*)
		report BROKEN "$name" "the first line names no test"
		bad=$((bad + 1))
		continue
		;;
	esac
	if [ -z "${sound[$test]:-}" ]; then
		if (cd "$work" && eval "timeout 150 $test -count=1 -timeout 120s") >"$work/.out" 2>&1; then
			sound[$test]=yes
		else
			sound[$test]=no
			tail -n 20 "$work/.out"
		fi
	fi
	if [ "${sound[$test]}" = no ]; then
		report UNSOUND "$name" "fails without the patch: $test"
		bad=$((bad + 1))
		continue
	fi
	if ! patch -d "$work" -p1 -s -f --no-backup-if-mismatch -r - <"$patch" >"$work/.out" 2>&1; then
		report STALE "$name" "does not apply: $(head -n 1 "$work/.out")"
		patch -d "$work" -p1 -s -f -R --no-backup-if-mismatch -r - <"$patch" >/dev/null 2>&1
		bad=$((bad + 1))
		git ls-files -co --exclude-standard -z | tar --null --ignore-failed-read -T - -cf - 2>/dev/null | tar -xf - -C "$work"
		continue
	fi
	files=$(sed -n 's,^+++ b/,./,p' "$patch")
	dirs=$(for f in $files; do dirname "$f"; done | sort -u)
	if ! (cd "$work" && go vet $dirs) >"$work/.out" 2>&1; then
		report BROKEN "$name" "does not compile: $(tail -n 1 "$work/.out")"
		bad=$((bad + 1))
	elif (cd "$work" && eval "timeout 150 $test -count=1 -timeout 120s") >"$work/.out" 2>&1; then
		report SURVIVED "$name" "$test"
		bad=$((bad + 1))
	else
		report killed "$name" "$test"
		killed=$((killed + 1))
	fi
	if ! patch -d "$work" -p1 -s -f -R --no-backup-if-mismatch -r - <"$patch" >"$work/.out" 2>&1; then
		echo "cannot take $name back" >&2
		exit 1
	fi
done
echo "$killed mutants killed, $bad not"
[ "$bad" -eq 0 ] && [ "$killed" -gt 0 ]
