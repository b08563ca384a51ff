listener "ftp" {
  address = ["[::]:21"
}
umask = 022
