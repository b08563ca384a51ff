#!/bin/bash
# repo.sh DIR: adds the stub that stands for this machine's Debian packages to
# the RPMs in DIR and makes DIR a repository.
set -euo pipefail
yaml=$(mktemp --suffix=.yaml)
trap 'rm -f "$yaml"' EXIT
cat >"$yaml" <<'END'
name: debian-base-stub
arch: noarch
version: "12"
license: none
description: stands for the Debian packages of the machine
maintainer: nobody <nobody@localhost>
provides: ["systemd = 252", "/bin/sh", "libpam.so.0()(64bit)"]
END
go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2 package -f "$yaml" -p rpm -t "$1" >/dev/null
createrepo_c -q "$1"
