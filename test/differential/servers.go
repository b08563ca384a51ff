package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sallyport/test/peers"
)

func fixtures(dir string) error {
	script := `cd "$1"; chmod 755 .; mkdir home anon run state; cd home
		printf 'line one\nline two\n' >text; head -c 1000 /dev/zero | tr '\0' x >thousand
		mkdir sub empty; echo leaf >sub/leaf; ln -s text link; ln -s nowhere dangling; mkfifo fifo
		touch .hidden 'with space' 'quo"te'; touch -d 2001-02-03T04:05:06Z text thousand sub/leaf
		echo 'for everybody' >../anon/file; mkdir -m 777 ../anon/incoming
		chown -Rh "$2:$2" "$1/home"
		hash=$(openssl passwd -6 -salt saltsalt "$3")
		{ printf 'ref:%s:%s:%s::%s:/bin/sh\n' "$hash" "$2" "$2" "$1/home"
		printf 'anon:*:%s:%s::%s:/bin/false\n' $(($2 + 1)) $(($2 + 1)) "$1/anon"; } >"$1/users"
		printf 'ref:x:%s:\nanon:x:%s:\nteam:x:%s:ref\nothers:x:%s:\n' "$2" $(($2 + 1)) $(($2 + 2)) $(($2 + 3)) >"$1/groups"
		chmod 600 "$1/users" "$1/groups"
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
			-keyout "$1/key" -out "$1/cert" 2>/dev/null; chmod 600 "$1/key"`
	out, err := exec.Command("bash", "-euc", script, "fixtures", dir, fmt.Sprint(uid), password).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fixtures: %w: %s", err, out)
	}
	return nil
}

// settings are the lines that a script has not set itself, and the script's.
func settings(dir string, usual, own []string) string {
	var b strings.Builder
	has := func(key string) bool {
		for _, l := range own {
			if strings.HasPrefix(l+" ", key+" ") { // not what stands in a block
				return true
			}
		}
		return false
	}
	for _, l := range usual {
		if !has(strings.Fields(l)[0]) {
			b.WriteString(l + "\n")
		}
	}
	b.WriteString(strings.Join(own, "\n") + "\n")
	return strings.ReplaceAll(b.String(), "DIR", dir)
}

func reference(p peers.Peers) func(script, string, int) *exec.Cmd {
	modules := filepath.Join(p.Root, "usr/lib/proftpd")
	return func(s script, dir string, port int) *exec.Cmd {
		cfg := filepath.Join(dir, "proftpd.conf")
		usual := []string{
			"ServerType standalone", "ServerName sallyport", `ServerIdent on "FTP server ready"`,
			fmt.Sprintf("Port %d", port), "DefaultAddress 127.0.0.1", "SocketBindTight on", "UseIPv6 off", "UseReverseDNS off",
			"User nobody", "Group nogroup", "AuthUserFile DIR/users", "AuthGroupFile DIR/groups", "AuthOrder mod_auth_file.c",
			"RequireValidShell off", "DefaultRoot ~", "AllowOverwrite on", "AllowStoreRestart on",
			"ServerAdmin ftp-admin", "WtmpLog off", "TransferLog none", "SystemLog DIR/proftpd.log", "PidFile DIR/proftpd.pid",
			"ScoreboardFile DIR/proftpd.board", "DelayEngine off",
			"TLSEngine on", "TLSECCertificateFile DIR/cert", "TLSECCertificateKeyFile DIR/key", "TLSLog DIR/tls.log",
		}
		if s.implicit {
			usual = append(usual, "TLSOptions UseImplicitSSL")
		}
		load := "ModulePath " + modules + "\n"
		for _, m := range []string{"tls", "site_misc", "copy", "digest", "deflate"} {
			load += "LoadModule mod_" + m + ".c\n"
		}
		_ = os.WriteFile(cfg, []byte(load+settings(dir, usual, s.ref)), 0o644)
		return p.Command("usr/sbin/proftpd", "-n", "-q", "-c", cfg)
	}
}

func ours(s script, dir string, port int) *exec.Cmd {
	cfg := filepath.Join(dir, "sallyport.hcl")
	listener := fmt.Sprintf("listener \"ftp\" {\n  address = [\"127.0.0.1:%d\"]\n", port)
	if s.implicit {
		listener += "  tls = \"implicit\"\n"
	}
	usual := []string{
		fmt.Sprintf("instance = \"diff-%d\"", port), `run_dir = "DIR/run"`, `state_dir = "DIR/state"`, `user = "nobody"`,
		`server_name = "sallyport"`, listener + "}", "require_valid_shell = false", `root "~" {}`,
		"auth {\n  order = [\"file\"]\n  file {\n    users = \"DIR/users\"\n    groups = \"DIR/groups\"\n  }\n}",
		"tls {\n  certificate {\n    file = \"DIR/cert\"\n    key = \"DIR/key\"\n  }\n}",
		"allow_overwrite = true", "allow_store_restart = true", "delay {\n  engine = false\n}",
	}
	_ = os.WriteFile(cfg, []byte(settings(dir, usual, s.our)), 0o644)
	return exec.Command(filepath.Join(*bin, "sallyport"), "--config", cfg)
}
