#!/bin/bash
# Runs inside test/boot-systemd: the life of the DEB, from an installation beside
# another server to purge. /dist has both versions; see run.sh.
set -uo pipefail
here=$(dirname "$0")
. "$here/lib.sh"
. "$here/serve.sh"
old=$1 new=$2 system=$3
export DEBIAN_FRONTEND=noninteractive
deb() { echo "/dist/sallyport_$1_amd64.deb"; }
install() { dpkg -i --force-confold "$(deb "$1")"; }
left() { find / -xdev -name '*sallyport*' -not -path '/proc/*' -not -path '/dist/*' -not -path "$work*" -not -path "$source/*" \
	-not -path '/var/lib/dpkg/*' -not -path '/var/log/*' -not -path '/var/cache/*' 2>/dev/null; find /run /dev/shm /tmp -name '*sallyport*'; }
source=$4
left >"$work/before"

# beside a server that holds port 21
python3 -c 'import socket,time; s=socket.create_server(("0.0.0.0",21)); time.sleep(600)' &
other=$!
eventually port_open 21
check "port 21 taken: installs, and says so" says 'another server listens on port 21' install "$old"
check "port 21 taken: the socket is not enabled" not systemctl --quiet is-enabled sallyport-ftp.socket
check "port 21 taken: nothing of ours runs" not systemctl --quiet is-active sallyport-ftp.socket sallyport.service
kill "$other" && wait "$other" 2>/dev/null
check "port 21 taken: purge" dpkg --purge sallyport

check "installs" install "$old"
check "the system user" id sallyport
check "the control group" getent group sallyport-admin
check "the socket is enabled" systemctl --quiet is-enabled sallyport-ftp.socket
check "the socket listens" port_open 21
check "the other sockets are disabled" not systemctl --quiet is-enabled sallyport-ftps.socket sallyport-sftp.socket
check "no key and no certificate" not says '.' find /etc/sallyport /usr/lib/sallyport -name '*.pem' -o -name '*.key'
check "session cannot be read" same "$(stat -c %a /usr/lib/sallyport/session)" 711
check "files cannot be read" same "$(stat -c %a /usr/lib/sallyport/files)" 711
accounts
serves
protects
survives
upgrade_during_transfers install "$new"

check "the changed configuration is kept" cmp "$work/good.hcl" /etc/sallyport/sallyport.hcl
systemctl disable --now --quiet sallyport-ftp.socket
systemctl stop sallyport.service
check "a disabled socket stays disabled over an installation" install "$new"
check "and stopped" not systemctl --quiet is-active sallyport-ftp.socket
check "and disabled" not systemctl --quiet is-enabled sallyport-ftp.socket
systemctl enable --now --quiet sallyport-ftp.socket
check "it serves again" ftp bob:bob-secret mine -o /dev/null

check "removes" dpkg --remove sallyport
check "nothing runs" not pgrep -x sallyport
check "nothing listens" not port_open 21
check "the configuration is there" cmp "$work/good.hcl" /etc/sallyport/sallyport.hcl
check "installs again with its configuration" install "$new"
check "and serves" ftp web:web-secret page -o /dev/null
systemctl start sallyport.service
check "with a log and a certificate" test -s /var/log/sallyport/xferlog -a -s /var/lib/sallyport/tls/self-signed.pem
check "purges" dpkg --purge sallyport
check "no state, log or configuration is left" not ls -d /var/lib/sallyport /var/log/sallyport /etc/sallyport
left >"$work/after"
check "nothing is left" diff "$work/before" "$work/after"
check "but the user" id sallyport
finish
