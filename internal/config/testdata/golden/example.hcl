# /etc/sallyport/sallyport.hcl      check: ftpdctl config check      apply: systemctl reload sallyport
# Times "90s" "10m" "7d", sizes "512KiB" "2GiB", event rates "20/1s", modes "027". What stands at the top
# holds for every virtual_host, which may set it anew. Where blocks of one kind repeat, the first that fits decides.
ident = "FTP server ready"
listener "ftp" {                       # label = FileDescriptorName= of sallyport-ftp.socket;
  protocol = "ftp"                     # the address is bound only where systemd hands over no such socket
  address  = ["[::]:21"]
}
listener "ftps" {
  protocol = "ftp"
  tls      = "implicit"
  address  = ["[::]:990"]
}
passive {
  ports   = "49152-51151"
  address = "ftp.example.org"          # shown in 227 only; the name is looked up again every 5 minutes
}
tls {
  required   = "on"                    # off on ctrl data !data auth auth+data auth+!data ctrl+!data
  data_reuse = "require"               # a data connection resumes its control session: require prefer off
  certificate {
    file = "/etc/ssl/sallyport/ftp.example.org.pem"
    key  = "/etc/ssl/sallyport/ftp.example.org.key"
  }
}
auth {
  order = ["file", "pam*"]             # "*": where this source says no, nobody else is asked
  file {
    users = "/etc/sallyport/users"     # passwd(5) form; ftpdctl passwd
  }
}
root "/srv/www" { group = ["webmasters"] }
root "~" {}
class "trusted" { from = ["10.0.0.0/8", "2001:db8:1::/48", "!10.9.9.9"] }
max {
  instances       = 800
  connection_rate = "100/1s"
  login_attempts  = 3
  store_file_size "20GiB" { group = ["video"] }
  store_file_size "2GiB" {}
}
timeout {
  login = "60s"
  idle  = "10m"
}
delay {
  table  = "/var/lib/sallyport/delay.table"
  policy = "deadline"
  on_event "FailedLogin" { delay = "1s-2s" }
}
ban {
  engine  = true
  message = "Host %a is banned"
  on_event "MaxLoginAttempts" {        # the second time in ten minutes bans the address (IPv6: its /64)
    rate = "2/10m"
    ban  = "1h"
  }
  share "redis" {
    address       = "192.0.2.5:6379"
    password_file = "/etc/sallyport/redis.secret"
  }
}
when {                                 # selector (class, user, group, authenticated), then what it changes
  class = ["trusted"]
  passive { address = "local" }
  delay { engine = false }
  ban { engine = false }
}
virtual_host "files.example.org" {     # chosen by HOST or SNI
  names = ["files.example.org", "*.files.example.org"]
  auth { order = ["file"] }
}
virtual_host "pub.example.org" {       # chosen by the address that was called
  address = ["192.0.2.21", "2001:db8::21"]
  tls { required = "off" }
  auth { order = [] }                  # nobody but anonymous
  anonymous "/srv/ftp" {
    user    = "ftp"
    aliases = ["anonymous"]
    require_valid_shell = false
  }
}
log {
  transfer = "/var/log/sallyport/xferlog"
  extended "/var/log/sallyport/login.log" {
    commands = ["AUTH", "EXIT"]
    format   = "%a %u [%%{iso8601}] \"%r\" %s"    # HCL: %%{ writes %{
  }
}
