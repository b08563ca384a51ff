#!/bin/bash
# Runs inside test/boot-systemd: the life of the RPM. There is no RPM
# distribution here; a stub package provides what the Debian ones stand for, so
# that dependencies are solved and not skipped. /dist/repo is a repository of the
# stub and both versions; see run.sh.
set -uo pipefail
here=$(dirname "$0")
. "$here/lib.sh"
. "$here/serve.sh"
old=$1 new=$2 system=$3
rpmfile() { echo "/dist/repo/sallyport-$1-1.x86_64.rpm"; }
dnf() { command dnf -y --releasever=1 --setopt=install_weak_deps=False "$@"; }

rpm --initdb
check "a missing dependency is refused" fails_saying 'needed by sallyport' rpm -i --force-debian "$(rpmfile "$old")"
rpm -i --force-debian /dist/repo/debian-base-stub*.rpm
# The PAM stack of this machine in place of an RPM distribution's.
for f in password-auth system-auth; do
	printf 'auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_unix.so\n' >/etc/pam.d/$f
done

python3 -c 'import socket,time; s=socket.create_server(("0.0.0.0",21)); time.sleep(600)' &
other=$!
eventually port_open 21
check "port 21 taken: installs, and says so" says 'another server listens on port 21' rpm -i --force-debian "$(rpmfile "$old")"
check "port 21 taken: the socket is not enabled" not systemctl --quiet is-enabled sallyport-ftp.socket
check "port 21 taken: nothing of ours runs" not systemctl --quiet is-active sallyport-ftp.socket sallyport.service
kill "$other" && wait "$other" 2>/dev/null
check "port 21 taken: removes" rpm -e sallyport

check "installs" rpm -i --force-debian "$(rpmfile "$old")"
check "the files are as packed" rpm -V --force-debian sallyport
check "the system user" id sallyport
check "the socket is enabled where the preset says so" systemctl --quiet is-enabled sallyport-ftp.socket
check "the socket listens" port_open 21
accounts
serves
protects
survives
mkdir -p /etc/yum.repos.d
printf '[local]\nname=local\nbaseurl=file:///dist/repo\ngpgcheck=0\n' >/etc/yum.repos.d/local.repo
upgrade_during_transfers dnf upgrade sallyport
check "the changed configuration is kept" cmp "$work/good.hcl" /etc/sallyport/sallyport.hcl

check "removes" dnf remove sallyport
check "nothing runs" not pgrep -x sallyport
check "nothing listens" not port_open 21
check "the changed configuration is put aside" cmp "$work/good.hcl" /etc/sallyport/sallyport.hcl.rpmsave
check "installs by dnf" dnf install "sallyport-$new"
check "and serves" ftp alice:alice-secret up -o /dev/null
finish
