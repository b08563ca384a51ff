# every name that is built, with a value that is not the default
run_dir    = "/run/two"
state_dir  = "/srv/two"
instance   = "two"
user       = "ftpd"
sandbox    = "log"
stop_grace = "2m"
pool {
  min = 3
  max = 8
}
control {
  engine = false
  socket = "/run/two/ctl"
  group  = "adm"
  acl {
    actions = ["status", "who"]
    user    = ["dave"]
    group   = ["ops"]
  }
  acl {
    actions = ["all"]
    user    = ["root"]
  }
}
names = ["ftp.example.org", "*.ftp.example.org"]
listener "ftp" {
  protocol = "ftp"
  tls      = "implicit"
  proxy    = ["192.0.2.7", "10.0.0.0/24"]
  address  = ["127.0.0.1:2121", "[::1]:2121"]
}
listener "extra" { address = ["192.0.2.1:0", "[::ffff:192.0.2.2]:21"] }

ident                  = "Welcome \"%%{you}\" to $${here}"
server_name            = "Example FTP"
admin                  = "ftp@example.org"
access_grant_msg       = "Hello %u"
access_deny_msg        = "No, %u"
default_transfer_mode  = "binary"
command_buffer_size    = 8192
allow_foreign_address  = true
umask                  = "027 077"
allow_overwrite        = true
allow_store_restart    = true
allow_retrieve_restart = false
store_unique_prefix    = "upload-"
show_symlinks          = false
times_gmt              = false
use_globbing           = false
hidden_stores {
  prefix = ".part-"
  suffix = ".tmp"
}
delete_aborted_stores = true
fsync                 = true
allow_chroot_symlinks = true
mode_z                = true
auth_alias_only       = true
passive {
  ports         = "49152-51151"
  address       = "FTP.example.org."
  local         = ["10.0.0.0/8", "!10.9.9.9"]
  extended_only = true
}
create_home {
  mode     = "0750"
  dir_mode = "755"
  skeleton = "/etc/skel"
}
digest {
  engine     = false
  max_size   = "1GiB"
  default    = "SHA-256"
  algorithms = ["SHA-512", "SHA-256"]
}
display {
  connect       = "/etc/sallyport/welcome.txt"
  login         = "welcome.msg"
  chdir         = ".message"
  chdir_once    = true
  quit          = "/etc/sallyport/bye.txt"
  file_transfer = "thanks.txt"
}
tls {
  required            = "ctrl+!data"
  data_reuse          = "prefer"
  protocols           = ["1.3"]
  ciphers             = ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]
  curves              = ["X25519", "CurveP256"]
  timeout_handshake   = "15s"
  allow_ccc           = true
  auth_ssl            = true
  strict_eof          = true
  reject_unknown_name = true
  ignore_sni          = true
  certificate {
    file   = "/etc/ssl/a.pem"
    key    = "/etc/ssl/a.key"
    staple = "/etc/ssl/a.ocsp"
  }
  certificate {
    file = "/etc/ssl/b.pem"
    key  = "/etc/ssl/b.pem"
  }
  client {
    verify = "require"
    ca     = ["/etc/ssl/ca.pem"]
    crl    = ["/etc/ssl/crl.pem"]
    depth  = 2
    user   = "map"
    map "AA:BBccddeeff00112233445566778899aabbccddeeff00112233445566778899" { user = "alice" }
  }
}
delay {
  engine = false
  policy = "median"
  table  = "none"
  cap    = "1s500ms"
  on_event "FailedLogin" { delay = "1s-2s" }
  on_event "Connect" { delay = "300ms" }
}
alias "bob" { user = "alice" }
alias "*" { user = "guest" }
user_password "alice" { hash = "$2b$12$abcdefghijklmnopqrstuv" }
default_chdir "incoming/%u" { group = ["up"] }
default_chdir "~/x" { class = ["*"] }
transfer_rate "STOR, appe" {
  rate = "10KiB/s"
  free = "1MiB"
  user = ["slow"]
}
transfer_rate "RETR" { rate = "1MiB/s" }
log {
  transfer = "/var/log/sallyport/xferlog"
  format "short" { text = "%a %u %r %s" }
  extended "/var/log/sallyport/ext.log" {
    commands = ["ALL", "!SEC", "exit", "!NOOP", "SITE_CHMOD"]
    format   = "%a [%%{iso8601}]"
  }
  extended "syslog:notice" {
    commands = ["AUTH"]
    format   = "short"
  }
}
anonymous "/srv/ftp" {
  user                = "ftp"
  group               = "nogroup"
  aliases             = ["anonymous", "*"]
  reject_passwords    = "!@"
  user_dir_root       = true
  require_valid_shell = true
  umask               = "077"
  hidden_stores       = false
  max {
    clients = 20
    store_file_size "1MiB" {}
  }
  timeout { session = "2h" }
  tls { required = "off" }
  log {
    extended "syslog:notice" { commands = [] }
  }
}
anonymous "~/guests" {
  user             = "guest"
  aliases          = ["visitor"]
  alias_only       = true
  require_password = true
  using_alias      = true
}
auth {
  order                 = ["pam", "unix", "file*"]
  min_uid               = 500
  require_valid_shell   = false
  use_ftpusers          = false
  root_login            = true
  allow_empty_passwords = true
  legacy_hashes         = true
  max_password_size     = 128
  file {
    users                = "/etc/sallyport/users"
    groups               = "/etc/sallyport/groups"
    id                   = "2000-9999"
    insecure_permissions = true
  }
  unix { directory = "/srv/accounts" }
  pam { service = "ftp" }
}
max {
  instances                   = 800
  connection_rate             = "100/m"
  unauthenticated             = 500
  unauthenticated_per_address = 20
  unauthenticated_per_prefix  = 30
  login_attempts              = 5
  command_rate                = "20/1s"
  connections_per_host {
    count   = 10
    message = "No more than %m, please"
  }
  clients           = 100
  clients_per_host  = 5
  clients_per_class = 50
  clients_per_user {
    count   = 3
    message = "%m is enough"
  }
  hosts_per_user = 2
  transfers_per_host "RETR,STOR" { count = 4 }
  transfers_per_user "STOU,APPE" {
    count   = 1
    message = "one"
  }
  store_file_size "20GiB" { group = ["video"] }
  store_file_size "2GiB" {}
  retrieve_file_size "1GiB" { user = ["*", "!alice"] }
}
timeout {
  login   = "1m"
  idle    = "none"
  stalled = "5m"
  no_transfer = "30m"
  session     = "8h"
  session "1h" { group = ["guests"] }
  linger      = "30s"
}
root "/srv/%u" {
  user  = ["^a"]
  group = ["^web", "!^webguests$"]
  match = "regex"
}
root "none" { group = ["guests"] }
root "~/ftp" {}

class "lan" { from = ["10.0.0.0/8"] }
ban {
  engine      = true
  message     = "Go away %a"
  mode        = "observe"
  max_bans    = 200000
  any_host    = true
  prefix_ipv4 = 24
  prefix_ipv6 = 56
  aggregate   = ["4 of /48"]
  never       = ["192.0.2.0/24", "2001:db8::7"]
  never_class = ["lan"]
  log         = "/var/log/sallyport/ban.log"
  on_event "maxloginattempts" {
    rate    = "2/10m"
    ban     = "1h"
    repeat  = "x4"
    max     = "24h"
    message = "Come back later"
  }
  share "redis" {
    address       = "192.0.2.5:6379"
    user          = "sallyport"
    password_file = "/etc/sallyport/redis.secret"
    prefix        = "ftp1."
    match_server  = true
    longest       = "24h"
    counters      = true
  }
}
