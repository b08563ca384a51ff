class "lan" { from = ["10.0.0.0/8"] }
class "trusted" { from = ["192.0.2.0/24"] }

ban {
  never       = ["192.0.2.7", "::ffff:198.51.100.0/120"]
  never_class = ["trusted"]
  on_event "MAXLOGINATTEMPTS" {
    rate   = "2/10m"
    ban    = "10m"
    repeat = "x4"
    max    = "24h"
  }
  on_event "MaxLoginAttempts" { # the patient
    rate = "20/1d"
    ban  = "7d"
  }
  on_event "mod_auth.root-login" {
    rate    = "1/1h"
    ban     = "1d"
    message = "Not %u"
  }
  on_event "wrap.denied" {
    rate = "3/1m"
    ban  = "1m"
  }
  share "memcache" { address = "Cache.Example.ORG:11211" }
}

virtual_host "quiet" {
  names = ["quiet.example.org"]
  ban { message = "Closed to you" }
}

virtual_host "open" {
  names = ["open.example.org"]
  ban { engine = false }
}

when {
  class = ["lan"]
  ban { engine = false }
}
