#!/bin/bash
# run.sh [deb|rpm|lint]...: builds two versions of the packages and lives their
# lives in a booted systemd. Needs root; prints a line for each check.
set -euo pipefail
cd "$(dirname "$0")/../.."
[[ $EUID == 0 ]] || { echo "skipped: packages are installed into a throw-away system, which needs root"; exit 0; }
what=("$@")
((${#what[@]})) || what=(lint deb rpm)
old=0.0.1 new=0.0.2
dist=$(mktemp -d)
trap 'rm -rf "$dist"' EXIT
here=$PWD

# One snapshot of the sources for all builds, with one time.
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
mkdir "$dist/source"
if ! git ls-files -z --cached --others --exclude-standard | xargs -0 cp -a --parents -t "$dist/source" 2>"$dist/build.log"; then
	cat "$dist/build.log"
	exit 1
fi

# build VERSION: both packages of it into $dist and $dist/repo.
build() {
	make -C "$dist/source" --no-print-directory packages ARCHES=amd64 VERSION="$1" >"$dist/build.log" 2>&1 || { cat "$dist/build.log"; exit 1; }
	mkdir -p "$dist/repo"
	mv "$dist/source/dist/sallyport_$1_amd64.deb" "$dist/"
	mv "$dist/source/dist/sallyport-$1-1.x86_64.rpm" "$dist/repo/"
}
sums() { cat "$dist/sallyport_$new"_*.deb "$dist/repo/sallyport-$new"-*.rpm | sha256sum; }
build $old
build $new
system=unix
[[ ! -e $dist/source/dist/stage/amd64/libexec/pam ]] || system=pam

rc=0
for w in "${what[@]}"; do
	echo "== $w"
	case $w in
	lint)
		(cd "$dist/source" && test/packages/lint.sh "$dist" "$new") || rc=1
		first=$(sums)
		build $new
		if [[ $(sums) == "$first" ]]; then
			echo "ok   a second build has the same bytes"
		else
			echo "FAIL a second build differs"
			rc=1
		fi
		;;
	deb)
		test/boot-systemd -B "$dist:/dist" -B "$PWD/test/packages:/packages" -j "$dist/journal" -- \
			/packages/deb.sh $old $new $system "$here" || rc=1
		;;
	rpm)
		test/packages/repo.sh "$dist/repo"
		test/boot-systemd -B "$dist:/dist" -B "$PWD/test/packages:/packages" -j "$dist/journal" -- \
			/packages/rpm.sh $old $new $system || rc=1
		;;
	esac
done
exit $rc
