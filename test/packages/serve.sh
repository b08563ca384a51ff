# Sourced by deb.sh and rpm.sh: what an installed daemon must do, the same for
# both. The package is installed, the socket listens, accounts are made.

serves() {
	check "the service is not started yet" not systemctl --quiet is-active sallyport.service
	head -c 3000000 /dev/urandom >"$work/up"
	check "the first connection starts it" ftp alice:alice-secret up -T "$work/up"
	check "the service is active" systemctl --quiet is-active sallyport.service
	check "the socket is systemd's" says 'listener +ftp .*from systemd' ftpdctl status
	check "the upload arrived" cmp "$work/up" /home/alice/up
	check "it is the user's own" same "$(stat -c %U:%G /home/alice/up)" alice:alice
	check "the other user logs in" ftp bob:bob-secret mine -T "$work/up"
	check "with an own uid" same "$(stat -c %u /home/bob/mine)" 2002
	check "and does not see the first one's file" not ftp bob:bob-secret //home/alice/up -o /dev/null
	check "a wrong password is refused" fails_saying 530 ftp bob:wrong x -o /dev/null

	sed -i '/^#auth {/,/^#}$/{s/^#//; s/^  order = .*/  order = ["file", "'"$system"'*"]/}' /etc/sallyport/sallyport.hcl
	echo web-secret | ftpdctl passwd add web --uid 3001 --gid 3001 --home /srv/web --hash sha512 --stdin >/dev/null
	check "the configuration of the test is right" ftpdctl config check
	check "reload succeeds" systemctl reload sallyport
	check "a virtual user logs in" ftp web:web-secret page -T "$work/up"
	check "with the uid of the users file" same "$(stat -c %u:%g /srv/web/page)" 3001:3001

	cp /etc/sallyport/sallyport.hcl "$work/good.hcl"
	echo 'instanzes = 3' >>/etc/sallyport/sallyport.hcl
	check "a broken configuration fails the reload" not systemctl reload sallyport
	check "with the diagnostics" fails_saying 'sallyport.hcl:[0-9]+:1: error: instanzes' ftpdctl reload
	check "and changes nothing" ftp web:web-secret page -o /dev/null
	check "status tells it" fails_saying 'the last reload was refused' ftpdctl status
	cp "$work/good.hcl" /etc/sallyport/sallyport.hcl
	check "the next reload heals it" systemctl reload sallyport
	check "status is good again" ftpdctl status

	check "journal: fields of a login" eventually says '"SALLYPORT_USER":"alice"' journalctl -q -o json SALLYPORT_EVENT=login.ok
	check "journal: the claimed name of a failure" eventually says '"SALLYPORT_USER_CLAIMED":"bob"' journalctl -q -o json SALLYPORT_EVENT=login.failed
	check "journal: the catalog explains it" says 'A login failed' journalctl -q -x SALLYPORT_EVENT=login.failed
	check "status line" says 'Status: "' systemctl status sallyport.service
	check "who" says 'no users connected|SESSION' ftpdctl who

	check "the control socket is the group's" same "$(stat -c %U:%G:%a /run/sallyport/control.sock)" root:sallyport-admin:660
	check "a stranger is refused" fails_saying 'permission denied' runuser -u bob -- ftpdctl status
	usermod -aG sallyport-admin alice
	check "a member is served" runuser -u alice -- ftpdctl status

	check "units verify" not says '.' systemd-analyze verify --man=no sallyport.service sallyport-ftp.socket sallyport-ftps.socket sallyport-sftp.socket
	systemd-analyze security sallyport.service --no-pager | tail -n 1
	check "systemd-analyze security at most 4.5" systemd-analyze security --threshold=45 sallyport.service
}

# protects: TLS with the certificate of the first start, log files and their
# rotation, homes that are made, names that are looked up; all under the unit.
protects() {
	local tls=/var/lib/sallyport/tls log=/var/log/sallyport/xferlog
	check "TLS: a certificate was made at the first start" test -s $tls/self-signed.pem
	check "TLS: for root's eyes only" same "$(stat -c %U:%a $tls/self-signed.pem) $(stat -c %U:%a $tls)" 'root:600 root:700'
	check "TLS: an upload" ftps alice:alice-secret safe -T "$work/up"
	check "TLS: is whole" cmp "$work/up" /home/alice/safe
	check "TLS: the control connection has it" says 'SSL connection using TLSv1.3' ftps alice:alice-secret safe -o /dev/null -v
	check "TLS: data connections resume it" says 'SSL re-using session ID' ftps alice:alice-secret safe -o /dev/null -v

	sed -i -e '/^#listener "ftps" {/,/^#}$/s/^#//' -e '/^#log {/,/^#}$/s/^#//' /etc/sallyport/sallyport.hcl
	printf '\ncreate_home { engine = true }\npassive { address = "ftp.test" }\n' >>/etc/sallyport/sallyport.hcl
	echo '192.0.2.7 ftp.test' >>/etc/hosts
	useradd -M -u 2003 -s /bin/bash carol && echo carol:carol-secret | chpasswd
	check "a listener of implicit TLS, a log, homes, a name: reload" systemctl reload sallyport
	check "implicit TLS: served by the reload" curl -sSk --max-time 60 -o /dev/null ftps://alice:alice-secret@127.0.0.1/safe
	check "the home of a new user is made" ftp carol:carol-secret first -T "$work/up"
	check "it is the user's" same "$(stat -c %U:%G:%a /home/carol)" carol:carol:700
	check "passive mode shows the address of the name" eventually pasv_shows 192,0,2,7
	check "netd runs as the system user" same "$(ps -o user:20= -C netd)" sallyport
	check "the transfer log has the upload" eventually says ' 3000000 /home/carol/first b _ i r carol ftp 0 [*] c$' cat $log
	check "it is root's, and adm may read it" same "$(stat -c %U:%G:%a $log)" root:adm:640
	logrotate --force --state "$work/rotate" /etc/logrotate.d/sallyport >"$work/rotate.out" 2>&1
	check "logrotate has nothing to say" cmp "$work/rotate.out" /dev/null
	check "the log was put aside" says "/home/carol/first " cat $log.1
	ftp carol:carol-secret second -T "$work/up"
	check "root's and adm's, as before" same "$(stat -c %U:%G:%a $log ${log%/*} | paste -sd ' ')" 'root:adm:640 root:adm:2750'
	check "the next transfer is in the new one" eventually says "/home/carol/second " cat $log
	check "and in no other" not grep -q "/home/carol/second " $log.1

	systemctl stop sallyport.service
	check "the socket of implicit TLS is enabled" systemctl enable --now --quiet sallyport-ftps.socket
	check "the first connection to it starts the service" curl -sSk --max-time 60 -o /dev/null ftps://alice:alice-secret@127.0.0.1/safe
	check "it is systemd's" says 'listener +ftps .*from systemd' ftpdctl status
	check "port 21 is served as well" ftps alice:alice-secret safe -o /dev/null
	check "the certificate is the same" not test $tls/self-signed.pem -nt "$work/rotate.out"
	cp /etc/sallyport/sallyport.hcl "$work/good.hcl"

	head -c 8000000 /dev/urandom >"$work/long"
	ftps bob:bob-secret long -T "$work/long" --limit-rate 2M &
	local up=$!
	eventually transfers 1
	check "TLS: reload during an upload" systemctl reload sallyport
	check "TLS: the upload goes on to its end" wait $up
	check "TLS: and is whole" cmp "$work/long" /home/bob/long
}
pasv_shows() { python3 -c 'import ftplib,sys
f = ftplib.FTP("127.0.0.1", timeout=30); f.login("alice", "alice-secret"); print(f.sendcmd("PASV"))' | grep -q "($1,"; }
transfers() { [[ $(ftpdctl who --json | grep -cE '"activity": "(upload|download)"') == "$1" ]]; }

# survives: every process is killed once; only what must is disturbed.
survives() {
	local main authd before
	main=$(show MainPID)
	authd=$(ftpdctl status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["workers"][0]["pid"])')
	kill -9 "$authd"
	check "authd: logins work again" eventually ftp bob:bob-secret mine -o /dev/null
	check "authd: the restart is counted" eventually says '"restarts": 1' ftpdctl status --json

	hold bob bob-secret
	hold alice alice-secret
	check "two sessions" eventually sessions 2
	kill -9 "$(who_pid bob pid)"
	check "session: its client alone is gone" eventually sessions 1
	check "session: the other one still answers" alive alice
	hold bob bob-secret
	check "two sessions again" eventually sessions 2
	kill -9 "$(who_pid bob files_pid)"
	check "files: its client alone is gone" eventually sessions 1
	check "files: the other one still answers" alive alice
	release
	check "master is the same" same "$(show MainPID)" "$main"

	before=$(show NRestarts)
	kill -9 "$main"
	check "master: systemd starts it again" eventually same_restarts $((before + 1))
	check "master: logins work" eventually ftp bob:bob-secret mine -o /dev/null
	check "master: nothing of the former one is left" not kill -0 "$main"

	mkdir -p /run/systemd/system/sallyport.service.d
	printf '[Service]\nWatchdogSec=2s\n' >/run/systemd/system/sallyport.service.d/watchdog.conf
	systemctl daemon-reload && systemctl restart sallyport.service
	before=$(show NRestarts)
	kill -STOP "$(show MainPID)"
	check "watchdog: a master that does not answer is replaced" eventually same_restarts $((before + 1))
	check "watchdog: logins work" eventually ftp bob:bob-secret mine -o /dev/null
	rm -r /run/systemd/system/sallyport.service.d
	systemctl daemon-reload
	systemctl restart sallyport.service
}
same_restarts() { [[ $(show NRestarts) == "$1" && $(show ActiveState) == active ]]; }
sessions() { [[ $(ftpdctl who --json | grep -c '"id"') == "$1" ]]; }
who_pid() { ftpdctl who --json | python3 -c 'import json,sys
print([s[sys.argv[2]] for s in json.load(sys.stdin)["sessions"] if s.get("user") == sys.argv[1]][0])' "$@"; }

# hold USER PASSWORD: a client that logs in, and answers to "alive".
hold() {
	rm -f "$work/$1.in" "$work/$1.out"
	mkfifo "$work/$1.in"
	python3 "$here/hold.py" "$1" "$2" "$work/$1.in" >"$work/$1.out" 2>&1 &
	holders+=($!)
	eventually grep -q ready "$work/$1.out"
}
alive() {
	timeout 10 bash -c 'echo >"$1"' - "$work/$1.in" || return
	eventually grep -q '^200' "$work/$1.out"
}
release() {
	kill "${holders[@]}" 2>/dev/null
	wait "${holders[@]}" 2>/dev/null
	holders=()
}
holders=()

# upgrade_during_transfers COMMAND...: installs the new version while an upload
# and a download run and clients log in all the time.
upgrade_during_transfers() {
	local main up down safe loop
	head -c 12000000 /dev/urandom >"$work/big"
	cp "$work/big" /home/bob/big && chown bob: /home/bob/big
	ftp bob:bob-secret mine -o /dev/null
	main=$(show MainPID)
	ftp alice:alice-secret big-up -T "$work/big" --limit-rate 2M &
	up=$!
	ftp bob:bob-secret big -o "$work/big-down" --limit-rate 2M &
	down=$!
	python3 "$here/logins.py" bob bob-secret "$work/stop" >"$work/logins.out" 2>&1 &
	loop=$!
	ftps alice:alice-secret safe-up -T "$work/big" --limit-rate 2M &
	safe=$!
	eventually transfers 3
	check "upgrade: installs" "$@"
	check "upgrade: the new version serves" says '^sallyport '"$new"' serving' ftpdctl status
	check "upgrade: in place, the same process" same "$(show MainPID)" "$main"
	check "upgrade: counted" says '"upgrades": 1' ftpdctl status --json
	check "upgrade: the upload goes on to its end" wait $up
	check "upgrade: and is whole" cmp "$work/big" /home/alice/big-up
	check "upgrade: the download goes on to its end" wait $down
	check "upgrade: and is whole too" cmp "$work/big" "$work/big-down"
	check "upgrade: so does the one under TLS" wait $safe
	check "upgrade: and is whole, too" cmp "$work/big" /home/alice/safe-up
	touch "$work/stop"
	check "upgrade: no login failed meanwhile" wait $loop
	tail -n 3 "$work/logins.out"
	check "upgrade: new sessions" ftp bob:bob-secret mine -o /dev/null
}
