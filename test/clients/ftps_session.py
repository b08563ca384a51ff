"""Sessions of Python's ftplib over TLS: with and without resumption on data."""
import ftplib, hashlib, io, os, ssl, sys

host, port, user, password, version, reuse = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], sys.argv[6]


class Resuming(ftplib.FTP_TLS):
    """ftplib opens each data connection with a new session; most servers want
    the control connection's."""

    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
        return conn, size


def session(cls):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    v = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    ctx.minimum_version = ctx.maximum_version = v
    f = cls(context=ctx, encoding="utf-8")
    f.connect(host, port, timeout=30)
    f.auth()
    f.prot_p()
    f.login(user, password, secure=False)
    f.prot_p()
    return f


f = session(Resuming)
assert f.sock.version() == "TLSv" + version, f.sock.version()
data = os.urandom(1 << 20)
f.pwd()  # with TLS 1.3 the ticket comes with the first answer
for i in range(10):
    f.storbinary("STOR up%d.bin" % i, io.BytesIO(data[i:]))
for i in range(10):
    back = io.BytesIO()
    f.retrbinary("RETR up%d.bin" % i, back.write)
    assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(data[i:]).digest()
rows = []
f.dir(rows.append)
assert len([r for r in rows if " up" in r]) == 10, rows
assert len([n for n, _ in f.mlsd() if n.startswith("up")]) == 10
f.set_pasv(False)
back = io.BytesIO()
f.storbinary("STOR active.bin", io.BytesIO(data))
f.retrbinary("RETR active.bin", back.write)
assert back.getvalue() == data
f.delete("active.bin")
f.set_pasv(True)
try:
    f.prot_c()
    raise AssertionError("PROT C was let through")
except ftplib.error_perm as e:
    assert str(e).startswith("534"), e
f.prot_p()
for i in range(10):
    f.delete("up%d.bin" % i)
assert f.quit().startswith("221")

g = session(ftplib.FTP_TLS)
try:
    g.storbinary("STOR stolen", io.BytesIO(b"x"))
    assert reuse != "require", "a data connection of another session was accepted"
except (ftplib.Error, OSError, EOFError) as e:
    assert reuse == "require", e
    try:  # the refusal may still be waiting
        answer = str(e) if str(e).startswith("425") else g.voidresp()
    except ftplib.all_errors as late:
        answer = str(late)
    assert answer.startswith("425") and "data_reuse" in answer, answer
    assert g.sendcmd("NOOP").startswith("200")
print("all good")
