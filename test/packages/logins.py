"""logins.py USER PASSWORD STOPFILE: logs in again and again until STOPFILE is
there; the exit status is 1 if any login failed or none succeeded."""
import ftplib
import os
import sys
import time

user, password, stop = sys.argv[1:]
good, bad = 0, 0
longest = 0.0
while not os.path.exists(stop):
    start = time.monotonic()
    try:
        ftp = ftplib.FTP("127.0.0.1", timeout=30)
        ftp.login(user, password)
        ftp.quit()
        good += 1
    except Exception as e:  # every kind of failure counts
        bad += 1
        print(f"{time.strftime('%H:%M:%S')} {type(e).__name__}: {e}", flush=True)
    longest = max(longest, time.monotonic() - start)
print(f"{good} logins, {bad} failed, the longest took {longest:.2f} s")
sys.exit(1 if bad or not good else 0)
