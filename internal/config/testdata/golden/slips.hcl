listener "ftps" {
  address = ["[::]:990"]
  tls     = "implict"
  proxy   = ["all", "!10.0.0.1", "proxy.example.org", "10.0.0.1/8"]
}
names = ["ftp.example.org", "*"]
TLSRequired = "on"
tls {
  require     = "on"
  required    = "yes"
  data_reuse  = "on"
  protocols   = ["1.1", "TLSv1.3", "1.2", "1.2"]
  ciphers     = ["TLS_RSA_WITH_AES_128_CBC_SHA"]
  curves      = ["x25519"]
  certificate { file = "/a.pem" }
  certificate "x" {}
  client {
    verify = "optional"
    ca     = "/ca.pem"
    depth  = 0
    map "12:34" { user = "alice" }
    map "abababababababababababababababababababababababababababababababab" { user = "" }
  }
}
max {
  clients = "many"
  clients_per_user {
    count = 3
    text  = "no"
  }
  command_rate = 20
  transfers_per_host "RETR, LIST" { count = 1 }
  transfers_per_host "RETR" {}
  transfers_per_user "STOR,RETR" { count = 1 }
  transfers_per_user "RETR, stor" { count = 2 }
  store_file_size "20G" {}
  store_file_size "512" {}
  store_file_size "none" {}
  store_file_size "1GiB" { user = ["x"] }
  retrieve_file_size "0B" { user = ["!x"] }
}
transfer_rate "RETR" {
  rate = "10KiB"
  free = "-"
}
transfer_rate "" { rate = "1KiB/s" }
timeout {
  session = 60
  session "8 hours" {}
  linger = "10m"
}
default_chdir "../up" {}
default_chdir "~bob" {}
default_chdir "in/%g" {}
create_home {
  mode     = 700
  dir_mode = "9"
}
hidden_stores {
  prefix = ""
  suffix = "a/b"
}
delete_aborted_stores = "yes"
digest {
  algorithms = []
  default    = "MD4"
}
display {
  connect = "relative.txt"
  login   = "../x"
}
delay {
  policy = "median-ish"
  cap    = "1ms"
  table  = "delay.table"
  on_event "Login" { delay = "1s" }
  on_event "USER" { delay = "1-2s" }
  on_event "PASS" { delay = "2s-1s" }
  on_event "PASS" { delay = "2s" }
}
log {
  transfer = "xferlog"
  format "one" { text = "no variable" }
  format "two" { text = "%q" }
  extended "ext.log" { commands = ["ALL", "RETRR", "!NOP", "SFTP"] }
  extended "syslog:loud" {}
  extended "/a" { format = "thre" }
  format "three" { text = "%a %u" }
  extended "/b" { format = "%%{nothing" }
}
alias "a" { user = "b" }
alias "a" { user = "c" }
user_password "x" { hash = "plain text" }
user_password "a:b" { hash = "$6$x$y" }
anonymous "/srv/ftp" {
  aliases = ["anonymous"]
}
anonymous "srv" { user = "ftp" }
anonymous "/srv/%u" { user = "ftp" }
anonymous "/srv/a" {
  user       = "ftp"
  aliases    = ["ftp", "a", "a"]
  alias_only = true
  auth { order = [] }
  ident = "x"
  when { class = ["a"] }
}
anonymous "/srv/b" {
  user             = "b"
  alias_only       = true
  reject_passwords = "("
  using_alias      = true
}
anonymous "/srv/c" {
  user    = "c"
  aliases = ["ftp"]
}
anonymous "/srv/d" { user = "c" }
virtual_host "files" { names = ["ftp.example.org", "*.example.org", "a.*.org", "1.2.3.4", "b_c.example.org."] }
virtual_host "again" { names = ["*.example.org"] }
virtual_host "none" { names = [] }
virtual_host "one" { address = ["192.0.2.1"] }
virtual_host "two" {
  address = ["192.0.2.1"]
  names   = ["x.example.org"]
}
virtual_host "three" {
  address = ["192.0.2.1", "192.0.2.2"]
  names   = ["x.example.org"]
}
virtual_host "four" { address = ["192.0.2.2"] }
when {
  class = ["*"]
  alias "x" { user = "y" }
  tls {
    client { verify = "off" }
  }
}
passive { address = "bad_name-.example.org" }
virtual_host "six" {
  names = ["six.example.org"]
  passive { address = "2001:db8::1" }
}
