#!/bin/bash
# lint.sh DIR VERSION: lintian and rpmlint over the packages in DIR. Every tag
# that is left is an error; those that are explained are in
# packaging/deb/lintian-overrides and packaging/rpm/rpmlint.toml.
set -uo pipefail
cd "$(dirname "$0")/../.."
rc=0
if out=$(lintian --allow-root --tag-display-limit 0 --fail-on error,warning "$1/sallyport_$2_amd64.deb" 2>&1); then
	echo "ok   lintian"
else
	echo "FAIL lintian"
	rc=1
fi
[[ -z $out ]] || printf '%s\n' "$out" | sed 's/^/     | /'
# rpmlint unpacks by cpio; the names in the archive are absolute, and must not be
# taken so.
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
printf '#!/bin/sh\nexec %s --no-absolute-filenames "$@"\n' "$(command -v cpio)" >"$bin/cpio"
chmod 755 "$bin/cpio"
if out=$(PATH="$bin:$PATH" rpmlint -c packaging/rpm/rpmlint.toml "$1/repo/sallyport-$2-1.x86_64.rpm" 2>&1); then
	echo "ok   rpmlint"
else
	echo "FAIL rpmlint"
	rc=1
fi
printf '%s\n' "$out" | grep -E ': [EW]: ' | sed 's/^/     | /'
for page in dist/man/*; do
	if out=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null) && [[ -z $out ]]; then
		echo "ok   ${page##*/}"
	else
		echo "FAIL ${page##*/}"
		printf '%s\n' "$out" | sed 's/^/     | /'
		rc=1
	fi
done
exit $rc
