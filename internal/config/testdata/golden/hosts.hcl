// virtual hosts, classes and when: who wins
umask = "027"
ident = "top"
root "/srv/www" { group = ["webmasters"] }
root "~" {}
class "lan" { from = ["10.0.0.0/8", "::ffff:192.0.2.0/120", "!10.9.9.9"] }
class "admin" {
  from  = ["10.1.0.0/16", "!10.1.1.1"]
  match = "all"
}
when {
  class = ["lan", "admin"]
  umask = "022 027"
  ident = "lan at the top"
  root "/" { user = ["operator"] }
}
when {
  class = ["admin"]
  auth { order = ["unix"] }
}
when {
  class = ["!lan", "!admin"]
  match = "all"
  max { login_attempts = 2 }
}
virtual_host "pub" {
  address = ["192.0.2.21", "[2001:db8::21]:2121"]
  ident   = "pub"
  auth { order = [] }
  root "/srv/pub" {}
  when {
    class = ["lan"]
    ident = "lan at pub"
  }
}
