"""A session of Python's ftplib against the server: every command it knows."""
import ftplib, hashlib, io, os, sys

host, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


def session():
    f = ftplib.FTP(encoding="utf-8")
    f.connect(host, port, timeout=30)
    f.login(user, password)
    return f


def refused(call, *args, code="5"):
    try:
        answer = call(*args)
    except ftplib.all_errors as e:
        assert str(e).startswith(code), (args, e)
        return str(e)
    raise AssertionError("%r was answered %r" % (args, answer))


f = session()
assert f.pwd() == "/", f.pwd()
data = os.urandom(1 << 20)
for passive in (True, False):
    f.set_pasv(passive)
    f.storbinary("STOR up.bin", io.BytesIO(data))
    assert f.size("up.bin") == len(data)
    back = io.BytesIO()
    f.retrbinary("RETR up.bin", back.write)
    assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(data).digest()
f.set_pasv(True)
back = io.BytesIO()
f.retrbinary("RETR up.bin", back.write, rest=1000)
assert back.getvalue() == data[1000:]
f.storbinary("STOR up.bin", io.BytesIO(b"tail"), rest=len(data))
assert f.size("up.bin") == len(data) + 4
f.storbinary("APPE up.bin", io.BytesIO(b"more"))
assert f.size("up.bin") == len(data) + 8
name = f.storbinary("STOU", io.BytesIO(b"unique"))
lines = []
f.storlines("STOR text", io.BytesIO(b"one\ntwo\nthree"))
f.retrlines("RETR text", lines.append)
assert lines == ["one", "two", "three"], lines
assert f.mkd('a "dir"') == '/a "dir"'
f.cwd('a "dir"')
assert f.pwd() == '/a "dir"', f.pwd()
f.cwd("..")
assert f.pwd() == "/"
f.rename("text", 'a "dir"/text')
facts = dict(f.mlsd('a "dir"'))
assert facts["text"]["type"] == "file" and facts["text"]["size"] == "14", facts
assert sorted(f.nlst('a "dir"'))[-1].endswith("text")
rows = []
f.dir(rows.append)
assert any(r.endswith("up.bin") and r.startswith("-rw") for r in rows), rows
assert f.sendcmd("MDTM up.bin").startswith("213 20")
assert f.sendcmd("SYST") == "215 UNIX Type: L8"
assert "UTF8" in f.sendcmd("FEAT")
refused(f.rmd, 'a "dir"')
f.delete('a "dir"/text')
f.rmd('a "dir"')
refused(f.cwd, "missing")
refused(f.size, "missing")
refused(f.retrbinary, "RETR missing", print)
refused(f.sendcmd, "RNTO nowhere", code="503")
refused(f.sendcmd, "NONSENSE", code="500")
refused(f.sendcmd, "PORT 10,0,0,1,20,20", code="500")
# abort in the middle of a download
f.storbinary("STOR big", io.BytesIO(bytes(32 << 20)))
conn = f.transfercmd("RETR big")
conn.recv(1000)
f.putline("ABOR")
answers = [f.getmultiline()]
conn.close()
if answers[0].startswith("426"):
    answers.append(f.getmultiline())
assert answers[-1].startswith("226"), answers
assert f.sendcmd("NOOP").startswith("200")
for n in f.nlst():
    f.delete(n)
assert f.nlst() == []
g = session()
assert g.quit().startswith("221")
assert f.quit().startswith("221")
print("all good")
