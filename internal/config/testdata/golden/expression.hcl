timeout {
  idle = 60 * 10
}
