# Sourced by the scripts that run inside the booted system: checks and helpers.
# Each check is a line "ok NAME" or "FAIL NAME" with what went wrong below it.
failed=0 passed=0
work=$(mktemp -d)
chmod 755 "$work"

# check NAME COMMAND...: the command must succeed.
check() {
	local name=$1
	shift
	if "$@" >"$work/check.out" 2>&1; then
		echo "ok   $name"
		passed=$((passed + 1))
	else
		echo "FAIL $name"
		sed 's/^/     | /' "$work/check.out" | tail -n 20
		failed=$((failed + 1))
	fi
}
not() { ! "$@"; }
# says TEXT COMMAND...: the command's output holds TEXT (an extended regexp).
says() {
	local want=$1
	shift
	"$@" >"$work/says.out" 2>&1
	cat "$work/says.out"
	grep -qE -- "$want" "$work/says.out"
}
# fails_saying TEXT COMMAND...: the same of a command that must fail.
fails_saying() {
	local want=$1
	shift
	if "$@" >"$work/says.out" 2>&1; then
		echo "succeeded"
		return 1
	fi
	cat "$work/says.out"
	grep -qE -- "$want" "$work/says.out"
}
# eventually COMMAND...: within 20 seconds.
eventually() {
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	"$@"
}
same() { [[ $1 == "$2" ]] || { echo "\"$1\" is not \"$2\""; return 1; }; }
show() { systemctl show --value -p "$1" "${2:-sallyport.service}"; }
port_open() { [[ -n $(ss -Htln "sport = :$1") ]]; }

# ftps USER:PASSWORD PATH [curl options]: the same with TLS demanded, for data too.
ftps() { ftp "$@" --ssl-reqd --insecure; }

# ftp USER:PASSWORD PATH [curl options]: one transfer over loopback.
ftp() {
	local who=$1 path=$2
	shift 2
	curl -sS --max-time 60 "$@" "ftp://$who@127.0.0.1/$path"
}

finish() {
	if ((failed)); then
		journalctl --no-pager -q -b -u sallyport.service -u 'sallyport-*.socket' -n 60 -o short-precise | sed 's/^/journal: /'
	fi
	echo "$passed passed, $failed failed"
	rm -rf "$work"
	exit $((failed > 0))
}

accounts() {
	groupadd -g 2100 team
	useradd -m -u 2001 -s /bin/bash -G team alice
	useradd -m -u 2002 -s /bin/bash bob
	echo 'alice:alice-secret' | chpasswd
	echo 'bob:bob-secret' | chpasswd
	chmod 700 /home/alice /home/bob
	mkdir -p /srv/web && chown 3001:3001 /srv/web
}
