"""hold.py USER PASSWORD FIFO: logs in, says "ready", and answers each line that
comes through FIFO by a NOOP."""
import ftplib
import sys

user, password, fifo = sys.argv[1:]
ftp = ftplib.FTP("127.0.0.1", timeout=30)
ftp.login(user, password)
print("ready", flush=True)
while True:
    with open(fifo) as f:
        for _ in f:
            print(ftp.sendcmd("NOOP"), flush=True)
