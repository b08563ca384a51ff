#!/usr/bin/env bash
# Serves two demo users from a temporary directory on a free loopback port,
# rootless or as root, until Ctrl-C. Prints the URL alone on a line.
set -eu
cd "$(dirname "$0")/../.."
dir=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-demo.XXXXXX")
trap 'rm -rf "$dir"' EXIT
chmod 0755 "$dir"
mkdir "$dir/run" "$dir/state" "$dir/demo" "$dir/guest"
uid=$(id -u) gid=$(id -g)
if [ "$uid" = 0 ]; then # a uid of its own for each demo user; session runs as nobody
	demo=49001 guest=49002 user=nobody
	chown $demo:$demo "$dir/demo"; chown $guest:$guest "$dir/guest"
else
	demo=$uid guest=$uid user=$(id -un)
fi
chmod 0700 "$dir/demo" "$dir/guest"
password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
for u in demo guest; do
	id=$demo; [ $u = guest ] && id=$guest
	g=$id; [ "$uid" = 0 ] || g=$gid
	bin/ftpdctl passwd add --file "$dir/users" --uid "$id" --gid "$g" --home "$dir/$u" --shell /bin/sh --stdin "$u" <<<"$password"
done
cat >"$dir/sallyport.hcl" <<END
instance  = "demo-$$"
run_dir   = "$dir/run"
state_dir = "$dir/state"
user      = "$user"
listener "ftp" {
  address = ["127.0.0.1:0"]
}
auth {
  order               = ["file"]
  require_valid_shell = false
  file {
    users = "$dir/users"
  }
}
root "~" {}
allow_overwrite     = true
allow_store_restart = true
END
bin/sallyport --config "$dir/sallyport.hcl" >"$dir/ready" &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait $daemon 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 0' INT TERM
until grep -q '^sallyport: ready ' "$dir/ready"; do
	kill -0 $daemon 2>/dev/null || { echo "the daemon did not start; see above" >&2; exit 1; }
	read -rt 0.05 <> <(:) || true
done
address=$(sed -n 's/.* ftp=\([^ ]*\).*/\1/p' "$dir/ready")
echo "try:   curl -T README.md ftp://demo:$password@$address/   (Ctrl-C ends the server)"
echo "ftp://demo:$password@$address/"
wait $daemon
