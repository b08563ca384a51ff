package config

// The features to come, as "not built yet" errors name them.
const (
	laterSFTP   = "SFTP"
	laterWhen   = "settings by user and group"
	laterACL    = "directory and limit rules"
	laterRates  = "rates shared by sessions"
	laterStore  = "owners of uploads"
	laterTrace  = "trace channels in the configuration"
	laterQuota  = "quotas"
	laterExec   = "hooks"
	laterStores = "outside stores"
	laterWrap   = "access tables"
	laterDNS    = "reverse look-ups"
	laterSite   = "the other commands"
	laterImport = "included files"
)

func laterBlocks() []*Block {
	var out []*Block
	add := func(feature string, in Context, paths ...string) {
		for _, p := range paths {
			out = append(out, &Block{Path: p, In: in, Later: feature})
		}
	}
	add(laterSFTP, anywhere, "sftp")
	add(laterACL, sessions, "directory", "limit", "hide")
	add(laterRates, anywhere, "shaper", "qos")
	add(laterTrace, anywhere, "trace")
	add(laterQuota, anywhere, "quota")
	add(laterExec, anywhere, "exec")
	add(laterStores, anywhere, "redis", "memcache")
	for _, s := range []string{"sql", "ldap", "radius", "otp"} {
		add(laterSources[s], anywhere, "auth."+s, s)
	}
	add(laterWrap, anywhere, "wrap", "geoip", "dnsbl")
	add(laterSite, anywhere, "site", "facts", "rewrite", "lang")
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
	add(laterRates, anywhere, "max.login_rate")
	add(laterStore, sessions, "user_owner", "group_owner")
	add(laterACL, sessions, "path_allow_filter", "path_deny_filter", "allow_filter", "deny_filter", "hide_files", "hide_user", "hide_group", "hide_no_access",
		"ignore_hidden", "allow_override", "dir_fake_user", "dir_fake_group", "dir_fake_mode", "list_options", "protocols")
	add(laterDNS, anywhere, "use_reverse_dns")
	add(laterImport, Top, "include")
	add(laterSite, anywhere, "use_encoding", "set_env")
	return out
}
