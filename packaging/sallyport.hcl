# /etc/sallyport/sallyport.hcl - the Sallyport FTP server; see sallyport.hcl(5)
#
#   ftpdctl config check            is this file right?
#   ftpdctl config show --defaults  what does it come to, defaults included?
#   systemctl reload sallyport      apply it to new sessions; an error changes nothing
#
# What is not set has a safe default: with every line below commented out, the
# users of this system log in with their passwords and see their home directories,
# with TLS where their programs ask for it.

# The words of the 220 greeting. It names neither program nor version.
#ident = "FTP server ready"

# Under systemd, sallyport-ftp.socket hands down the socket named "ftp", and this
# address is not bound. To listen elsewhere, change the socket unit by
# "systemctl edit sallyport-ftp.socket".
listener "ftp" {
  protocol = "ftp"
  address  = ["[::]:21"]
}

# TLS from the first byte, for programs that call it "implicit". A reload opens the
# port; to have systemd hold it, as it holds port 21:
#   systemctl stop sallyport; systemctl enable --now sallyport-ftps.socket
#listener "ftps" {
#  protocol = "ftp"
#  tls      = "implicit"
#  address  = ["[::]:990"]
#}

# Without a certificate of your own the server makes one that no program trusts by
# itself. FTP as such is not encrypted: as long as required is "off", programs that
# do not ask for TLS send passwords and files in clear. required = "on" refuses them.
#tls {
#  required = "on"
#  certificate {
#    file = "/etc/ssl/sallyport/ftp.example.org.pem"
#    key  = "/etc/ssl/sallyport/ftp.example.org.key"
#  }
#}

# Ports for passive data connections: open the same in the firewall. Behind NAT,
# address is the public IP address, or a name that has it.
#passive {
#  ports   = "49152-51151"
#  address = "ftp.example.org"
#}

# Who may log in: first the users file, if one is named, then the system through
# PAM (/etc/pam.d/sallyport). "*": where this source says no, nobody else is asked.
# Accounts of a users file are made by
#   ftpdctl passwd add NAME --uid N --gid N --home DIR
#auth {
#  order = ["file", "pam*"]
#  file {
#    users = "/etc/sallyport/users"
#  }
#}

# The directory a user cannot leave: the first block that fits. "~" is the home.
#root "/srv/www" { group = ["webmasters"] }
root "~" {}

# May a user overwrite files, and go on with an upload that broke off?
#allow_overwrite     = true
#allow_store_restart = true

# Files for everybody, read only by their permissions: anonymous logins have the
# rights of the user "ftp" and see this directory alone.
#anonymous "/srv/ftp" {
#  user                = "ftp"
#  aliases             = ["anonymous"]
#  require_valid_shell = false
#}

# The journal has it all; this is the classic log of transfers, for programs.
#log {
#  transfer = "/var/log/sallyport/xferlog"
#}

# Clients that are refused for a time for what they have done: here an address after
# ten wrong passwords in ten minutes, over all its connections; see sallyport.hcl(5).
#ban {
#  never = ["127.0.0.0/8", "::1"]
#  on_event "FailedLogin" {
#    rate   = "10/10m"
#    ban    = "10m"
#    repeat = "x4"
#    max    = "24h"
#  }
#}

max {
  instances       = 500     # clients at once
  connection_rate = "100/1s"
  login_attempts  = 3
  connections_per_host { count = 50 }
}

timeout {
  login   = "60s"
  idle    = "10m"
  stalled = "10m"           # a transfer in which no byte moves
}
