class "lan" { from = ["10.0.0.0/8"] }

ban {
  mode        = "watch"
  max_bans    = 8
  prefix_ipv4 = 33
  prefix_ipv6 = 64
  aggregate   = ["8 of /64", "1 of /48", "8/56", "9 of /64"]
  never       = ["all", "!10.0.0.1", "192.0.2.1", "192.0.2.1/32", "gate.example.org"]
  never_class = ["lna"]
  log         = "ban.log"
  on_event "MaxLoginAttemps" {
    rate = "2/00:10:00"
    ban  = "01:00:00"
  }
  on_event "loginrate" {
    rate   = "none"
    ban    = 3600
    repeat = 4
  }
  on_event "TLSHandshake" { rate = "3/1m" }
  on_event "RootLogin" {
    rate = "1/1h"
    ban  = "1h"
    max  = "30m"
  }
  on_event "rootlogin" {
    rate   = "1/60m"
    ban    = "2h"
  }
  on_event "RootLogin" {
    rate = "5/1h"
    ban  = "2h"
    max  = "4h"
  }
  on_event "" {
    rate = "5/1h"
    ban  = "2h"
  }
  share "memcached" { address = "127.0.0.1:11211" }
  share "memcache" {
    address       = "127.0.0.1:11211"
    password_file = "/etc/sallyport/secret"
    counters      = true
  }
  share "redis" {
    address = "127.0.0.1"
    prefix  = "two words"
  }
  share "redis" {
    address = "0.0.0.0:6379"
    longest = "10s"
  }
  share "redis" {
    address = "redis.example.org:6379"
    user    = "sallyport"
  }
}

virtual_host "inner" {
  names = ["inner.example.org"]
  ban {
    mode = "observe"
    on_event "RootLogin" {
      rate = "1/1h"
      ban  = "1h"
    }
  }
}
