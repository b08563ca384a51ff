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
listener "ftp" {
  protocol = "ftp"
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
passive {
  ports   = "49152-51151"
  address = "203.0.113.5"
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
  connections_per_host {
    count   = 10
    message = "No more than %m, please"
  }
}
timeout {
  login   = "1m"
  idle    = "none"
  stalled = "5m"
}
root "/srv/%u" {
  user  = ["^a"]
  group = ["^web", "!^webguests$"]
  match = "regex"
}
root "none" { group = ["guests"] }
root "~/ftp" {}
