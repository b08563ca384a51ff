#!/bin/sh
# stage.sh ARCH STAGE VERSION MAINTAINER - lays out what nfpm packs, beside the
# binaries that the Makefile has built into STAGE. Called by packages.mk.
set -eu
arch=$1 stage=$2 version=$3 maintainer=$4
here=$(dirname "$0")
umask 022

chmod 0755 "$stage"/sbin/* "$stage"/bin/* "$stage"/libexec/*
# Not readable: hence not dumpable from the first instruction on.
chmod 0711 "$stage"/libexec/session "$stage"/libexec/files

mkdir -p "$stage"/etc "$stage"/systemd "$stage"/man5 "$stage"/man8 "$stage"/completions "$stage"/doc "$stage"/examples
cp "$here"/sallyport.hcl "$stage"/etc/sallyport.hcl
cp "$here"/pam/debian "$stage"/etc/pam-deb
cp "$here"/pam/rpm "$stage"/etc/pam-rpm
cp "$here"/logrotate "$stage"/etc/logrotate
cp "$here"/systemd/* "$stage"/systemd/
cp "$here"/sysusers.conf "$here"/tmpfiles.conf "$here"/sallyport.catalog "$stage"/
if [ ! -e "$stage"/libexec/pam ]; then # no helper, no PAM accounts
	sed -i 's/^\(# Who may log in: .*\)/\1\n# This build has no PAM helper: "unix*" stands for "pam*"./' "$stage"/etc/sallyport.hcl
fi

for page in dist/man/*.[58]; do
	gzip -9n <"$page" >"$stage/man${page##*.}/${page##*/}.gz"
done

# The completion scripts come from the command itself, built for this machine.
ctl=$(mktemp -d)/ftpdctl
trap 'rm -rf "${ctl%/*}"' EXIT
go build -o "$ctl" ./cmd/ftpdctl
"$ctl" completion bash >"$stage"/completions/ftpdctl.bash
"$ctl" completion fish >"$stage"/completions/ftpdctl.fish
"$ctl" completion zsh >"$stage"/completions/_ftpdctl

cp "$here"/examples/* "$stage"/examples/

cp LICENSE CHANGELOG.md "$stage"/doc/
cp "$here"/deb/copyright "$stage"/doc/copyright
cp "$here"/deb/lintian-overrides "$stage"/doc/lintian
{
	echo "sallyport ($version) unstable; urgency=medium"
	echo
	awk -v v="$version" '/^## / { on = ($2 == v) } on && /^\* / { print "  " $0 } on && /^  [^ ]/ { print "  " $0 }' CHANGELOG.md |
		grep . || echo "  * Version $version."
	echo
	echo " -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$stage"/doc/changelog.gz
chmod 0644 "$stage"/etc/* "$stage"/systemd/* "$stage"/*.conf "$stage"/*.catalog "$stage"/man?/* "$stage"/completions/* "$stage"/doc/* "$stage"/examples/*
chmod 0755 "$stage"/examples/certbot-deploy-hook
