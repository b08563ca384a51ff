umaks = "022"
umask = 22
listner "ftp" { address = ["*:21"] }
listener "ftp" { adress = ["*:21"] }
listener "ftp" { address = ["*:21", "1.2.3.4", "127.0.0.1:21"] }
listener "two" { address = ["[::ffff:127.0.0.1]:21"] }
listener "none" {}
MaxLoginAttempts = 3
login_attempts   = 3
max {
  login_attempts = "x"
  idle           = "10m"
  connections_per_host {
    count = 3
  }
  connections_per_host = 4
  clients              = 3
}
timeout {
  login = 600
  idle  = "10 minutes"
}
command_buffer_size = "512K"
class "a" { from = ["!1.2.3.4"] }
class "b/c" { from = ["1.2.3.4/8", "foo.example.org", "10.*", "10.0.0.0.1/8", 3] }
class "d" { from = "10.0.0.0/8" }
when { class = ["trusted"] }
when { umask = "022" }
when { user = ["alice"] }
virtual_host "default" {}
virtual_host "x" {
  address = ["192.0.2.1"]
  run_dir = "/x"
  listener "x" { address = ["1.2.3.4:1"] }
}
virtual_host "y" { address = ["192.0.2.1"] }
root "x" {}
root "~bob" {}
root "/srv/%g" {}
root "/ok" { group = ["!a"] }
root "/re" {
  user  = ["("]
  match = "regex"
}
auth { order = ["fil", "pam*", "unix"] }
auth { order = ["file"] }
passive = 3
umask {}
control {
  acl { actions = ["statsu", "ban"] }
}
sandbox = "of"
tls { required = "on" }
quota { anything = goes }
pool { min = 9 }
ident = foo
admin = { name = "x" }
server_name = "bell \u0007"
auth {
  file { id = "0-5" }
  pam {
    service = "a/b"
  }
}
passive { ports = "1000-2000" }
virtual_host {}
when "x" {}
