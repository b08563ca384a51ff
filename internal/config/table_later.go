package config

// The features to come, as "not built yet" errors name them.
const (
	laterTLS     = "FTPS"
	laterSFTP    = "SFTP"
	laterProxy   = "the PROXY protocol"
	laterNamed   = "virtual hosts by name"
	laterWhen    = "settings by user and group"
	laterBan     = "the ban system"
	laterDelay   = "the DelayTable"
	laterACL     = "directory and limit rules"
	laterAnon    = "anonymous logins and aliases"
	laterClients = "limits of logged-in clients"
	laterTimes   = "the other timeouts"
	laterRates   = "transfer rates and sizes"
	laterStore   = "the other upload settings"
	laterHome    = "home and start directories"
	laterDisplay = "display files"
	laterLog     = "transfer and extended logs"
	laterQuota   = "quotas"
	laterExec    = "hooks"
	laterStores  = "outside stores"
	laterWrap    = "access tables"
	laterDNS     = "reverse look-ups"
	laterSite    = "the other commands"
	laterImport  = "included files"
)

func laterBlocks() []*Block {
	var out []*Block
	add := func(feature string, in Context, paths ...string) {
		for _, p := range paths {
			out = append(out, &Block{Path: p, In: in, Later: feature})
		}
	}
	add(laterTLS, anywhere, "tls")
	add(laterSFTP, anywhere, "sftp")
	add(laterBan, anywhere, "ban")
	add(laterDelay, anywhere, "delay")
	add(laterACL, anywhere, "directory", "limit", "hide")
	add(laterAnon, Top|Host, "anonymous")
	add(laterAnon, anywhere, "anon", "alias")
	add(laterRates, anywhere, "transfer_rate", "shaper", "qos", "max.store_file_size", "max.retrieve_file_size")
	add(laterHome, anywhere, "create_home")
	add(laterDisplay, anywhere, "display")
	add(laterLog, anywhere, "log", "trace")
	add(laterQuota, anywhere, "quota")
	add(laterExec, anywhere, "exec")
	add(laterStores, anywhere, "redis", "memcache")
	for _, s := range []string{"sql", "ldap", "radius", "otp"} {
		add(laterSources[s], anywhere, "auth."+s, s)
	}
	add(laterWrap, anywhere, "wrap", "geoip", "dnsbl")
	add(laterSite, anywhere, "site", "facts", "digest", "rewrite", "lang")
	add("process limits", anywhere, "rlimit")
	return out
}

func laterKeys() []*Key {
	var out []*Key
	add := func(feature string, in Context, paths ...string) {
		for _, p := range paths {
			out = append(out, &Key{Path: p, In: in, Later: feature})
		}
	}
	add(laterClients, anywhere, "max.clients", "max.clients_per_host", "max.clients_per_user", "max.clients_per_class", "max.hosts_per_user", "max.command_rate", "max.login_rate")
	add(laterRates, anywhere, "max.transfers_per_host", "max.transfers_per_user")
	add(laterTimes, anywhere, "timeout.no_transfer", "timeout.session", "timeout.linger")
	add(laterStore, anywhere, "hidden_stores", "delete_aborted_stores", "user_owner", "group_owner", "fsync")
	add(laterHome, anywhere, "default_chdir", "allow_chroot_symlinks")
	add(laterACL, anywhere, "path_allow_filter", "path_deny_filter", "allow_filter", "deny_filter", "hide_files", "hide_user", "hide_group", "hide_no_access",
		"ignore_hidden", "allow_override", "dir_fake_user", "dir_fake_group", "dir_fake_mode", "list_options", "protocols")
	add(laterAnon, anywhere, "user_alias", "auth_alias_only", "user_password")
	add(laterDNS, anywhere, "use_reverse_dns")
	add(laterProxy, anywhere, "proxy_protocol")
	add(laterImport, Top, "include")
	add(laterSite, anywhere, "use_encoding", "mode_z", "set_env")
	return out
}
