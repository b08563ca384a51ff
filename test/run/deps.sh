#!/usr/bin/env bash
# Installs (as root) or names (otherwise) the Debian packages the tests use.
set -u
want=(curl lftp ncftp tnftp wget rclone nftables python3 openssl gnutls-bin strace acl iproute2 systemd dbus whois
      gcc libc6-dev libpam0g-dev rpm dnf createrepo-c rpmlint lintian man-db logrotate redis-server memcached fail2ban)
missing=()
for p in "${want[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing Debian packages: ${missing[*]}" >&2
	echo "as root: apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update >/dev/null 2>&1
exec apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}" >/dev/null
