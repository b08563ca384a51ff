package crypt

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// vectors come from libxcrypt 4.4.33 (mkpasswd), libargon2 and Python's hashlib.
var vectors = []struct{ setting, secret string }{
	{"$y$j9T$mzIL7ovjVnjt2X.OowRMu/$SXPns2MXy8nSEAKnJ0oHxkQjUawaWwEEZs5NQ0d/YH6", "secret"},
	{"$y$j9T$AVi2tjRncmU9/O/rgSbjT/$oW9j0PEBQycYXNIN1id4y8G9XfZ2FJ6IS.uhgtIhqy2", "pässwörd with spaces"},
	{"$y$j75$iy0h.CqfTPdNPq5HtUTcv/$46RbonFjenNr1Rcl9cpi85dIMG9WWDOCyey7b0uELpC", "secret"},
	{"$y$jBT$fAozFbF7Be1fqgZphCuJe0$oaX24IZEp0tSryz4EHnkup78Rm02mccQJZBbjjL.nO5", "secret"},
	{"$y$j9T$v1Q6cvts.wxtxHkOaHh/H0$5sR3rPGgA7EWHdYHVXf0R2TWuUyhVGJuXS17hhxJZiA", strings.Repeat("a", 300)},
	{"$7$CU..../....wkvWHIS1qR1WXOG5/OxKs.$y4Y3OyLWByuvenlaWV2RmL1YvvWmfkNZLaPFcDs7mc6", "secret"},
	{"$7$CU..../....uCmyLiAp4S0oOax5prlCU.$956WdxU9mKxpCN4mVTsAnmyIBGdWuCfpYLQku1BfRm6", "pässwörd with spaces"},
	{"$2b$05$6sf.TRCbKhvu7p5fOWXV2ePpLAeWvNU3cK4SBK8/DXPcClU5/40EK", "secret"},
	{"$2b$05$e2z7ue6XP7WnsGYsZ8MWSOtSWdiQrSt.6M.yNas9ZRjCPPOfbF5TO", "pässwörd with spaces"},
	{"$2a$05$JorgfJ73A/aojN/y2XCKUegQeWElmggteZ7KCdirCe/kA3f9omKLy", "secret"},
	{"$2y$05$JorgfJ73A/aojN/y2XCKUegQeWElmggteZ7KCdirCe/kA3f9omKLy", "secret"},
	{"$6$GLpqN7XOQ5cnZ4lP$XlnNQ2W8u7haSpQ7S3ExFDIWt5KZsoa/0Sg.WOWthewFabzAlJeEcG7MoI3bpOaEwPZroy7ivPjtOLGiqhS0x0", "secret"},
	{"$6$OUV8prkSs0wueAbU$uh5IsRK0VIgJqxEBDe2s.EG6kmyVIqoruezu5H0i9xy2bmjsYjG1a4JwTI/DS.7S5RaGrhu3EWsV.dfrS6aB00", "pässwörd with spaces"},
	{"$6$rounds=1234$D3vYBP9b1Z9alr5R$Fzet6xTcEsrJlz/LiNArDDUaqSDIvJpOEFNZRNJadl0HNiNNkbTxyoYJjvSKEKYEjfuhDkoTLw7uFuOouFpC90", "secret"},
	{"$5$44kU7S97fZq9cncS$IAgBiYdPrhNTGeWjRrlO1kjIS8.njc5IN6fcq7UgD7D", "secret"},
	{"$5$rounds=20000$u1eHOdRTE3iR3vL2$7aer9qEJEj6U.c18NTwy9E26IVHFLZEogbKzWscXHN1", "secret"},
	{"$1$5nZWoowt$E8gcsCvVoj7xahJYpbsTX0", "secret"},
	{"$1$nwObdVv/$z0tSyb6Ypd0.mf73pfjql1", "pässwörd with spaces"},
	{"$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$8qPpaWig0H31wvibKAgpght2Ry2M8rtRQYtZ93ooMus", "secret"},
	{"$argon2id$v=19$m=64,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$THm0hfGV93gX4aIE+ABDe9+UBsV3Hja2dN9um6oIIQU", "pässwörd with spaces"},
	{"$scrypt$ln=10,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$nZQmmChskc0kq1xQAQuxDN4XR2a8s+J3zdz0HD5ufTw", "secret"},
	{"$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$tiKWHy4FAGCWE8gn6GtKhaxD2OeeAUUWXFT/p1aaNl8", "secret"},
	{"$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$vgFvU7zWIDgDAUi7d8ayt.cfRiPWVVWfv8iQRsGZaZviWzsSNgWYXEE5PmvI/VELMsOmEbqLz0PKuePNjOk41A", "secret"},
}

var legacy = Options{Legacy: true}

func TestForeignHashesMatchTheirPasswordAndNoOther(t *testing.T) {
	for _, v := range vectors {
		t.Run(Scheme(v.setting)+" "+v.setting[:min(14, len(v.setting))], func(t *testing.T) {
			for secret, want := range map[string]bool{v.secret: true, v.secret + "x": false, "": false} {
				got, err := Verify(v.setting, []byte(secret), legacy)
				if err != nil || got != want {
					t.Errorf("Verify(%q) = %v, %v; want %v", secret, got, err, want)
				}
			}
			if strings.HasPrefix(v.setting, "$1$") {
				if _, err := Verify(v.setting, []byte(v.secret), Options{}); !errors.Is(err, ErrLegacy) {
					t.Errorf("md5-crypt without Legacy: %v", err)
				}
			}
		})
	}
}

func TestSettingsThatAreRefusedBeforeAnyWork(t *testing.T) {
	sum43, sum86 := strings.Repeat("a", 43), strings.Repeat("a", 86)
	for _, c := range []struct {
		setting string
		want    error
	}{
		{"", ErrLocked},
		{"x", ErrLocked},
		{"*", ErrLocked},
		{"*LK*", ErrLocked},
		{"!", ErrLocked},
		{"!!", ErrLocked},
		{"!$6$GLpqN7XOQ5cnZ4lP$" + sum86, ErrLocked},
		{"secret", ErrUnknown},
		{"abJnggxhB/yWI", ErrUnknown}, // DES
		{"_J9..K0AyUubDrfOgO4s", ErrUnknown},
		{"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", ErrUnknown},
		{"$argon2i$v=19$m=64,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrUnknown},
		{"$2x$05$6sf.TRCbKhvu7p5fOWXV2ePpLAeWvNU3cK4SBK8/DXPcClU5/40EK", ErrUnknown},
		{"$gy$j9T$IBK4FTDABA68qGqXvmBE8.$lceFP837GgWVcIJo9IDcaVRfMQ5CwWWEYHYrifpoLx3", ErrUnknown},
		{"$6$rounds=999999999$salt$" + sum86, ErrCost},
		{"$6$rounds=999$salt$" + sum86, ErrCost},
		{"$6$rounds=$salt$" + sum86, ErrFormat},
		{"$6$rounds=99999999999999999999$salt$" + sum86, ErrFormat},
		{"$6$" + strings.Repeat("s", 17) + "$" + sum86, ErrFormat},
		{"$6$salt$" + sum43, ErrFormat},
		{"$5$salt$", ErrFormat},
		{"$2b$31$6sf.TRCbKhvu7p5fOWXV2ePpLAeWvNU3cK4SBK8/DXPcClU5/40EK", ErrCost},
		{"$2b$05$short", ErrFormat},
		{"$argon2id$v=19$m=4194304,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrCost},
		{"$argon2id$v=19$m=262144,t=60,p=4$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrCost},
		{"$argon2id$v=19$m=64,t=0,p=4$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrCost},
		{"$argon2id$v=19$m=64,t=3,p=255$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrCost},
		{"$argon2id$v=16$m=64,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrFormat},
		{"$argon2id$v=19$m=64,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$", ErrFormat},
		{"$scrypt$ln=30,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrCost},
		{"$scrypt$ln=999999999,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrCost},
		{"$7$zzzzzzzzzzzsalt$" + sum43, ErrCost},
		{"$y$jHT$mzIL7ovjVnjt2X.OowRMu/$" + sum43, ErrCost},
		{"$y$7T$mzIL7ovjVnjt2X.OowRMu/$" + sum43, ErrFormat},
		{"$y$j9T$mz IL$" + sum43, ErrFormat},
		{"$pbkdf2-sha256$999999999$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrCost},
		{"$pbkdf2-sha256$0$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", ErrCost},
		{strings.Repeat("$6$", 200), ErrFormat},
	} {
		if err := Check(c.setting, legacy); !errors.Is(err, c.want) {
			t.Errorf("Check(%q) = %v, want %v", c.setting, err, c.want)
		}
		if ok, err := Verify(c.setting, []byte(c.setting), legacy); ok || err == nil {
			t.Errorf("Verify(%q, itself) = %v, %v", c.setting, ok, err)
		}
	}
}

func TestBcryptDoesNotTruncate(t *testing.T) {
	// libxcrypt's hash of 80 times "a", which is its hash of 72 times "a".
	const setting = "$2b$05$aAna6VJ/k5Ci/rQubQhNFu17OJxoF/ahQWzLbJ9r7vFxYeZxYa83u"
	for n, want := range map[int]bool{71: false, 72: true, 73: false, 80: false} {
		if got, err := Verify(setting, []byte(strings.Repeat("a", n)), Options{}); got != want || err != nil {
			t.Errorf("%d bytes: %v, %v; want %v", n, got, err, want)
		}
	}
	if got, _ := Verify(setting, []byte(strings.Repeat("a", 71)+"\x00"), Options{}); got {
		t.Error("a NUL was accepted")
	}
}

func TestNewHashesVerify(t *testing.T) {
	for _, s := range append(Schemes(), "") {
		h, err := Hash([]byte("correct horse"), s)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := Hash([]byte("correct horse"), s)
		if h == again {
			t.Errorf("%s: the salt repeats", s)
		}
		if ok, err := Verify(h, []byte("correct horse"), Options{}); !ok || err != nil {
			t.Errorf("%s: %v, %v", s, ok, err)
		}
		if ok, _ := Verify(h, []byte("correct hors"), Options{}); ok {
			t.Errorf("%s: a wrong password matches", s)
		}
	}
	if _, err := Hash(nil, ""); err == nil {
		t.Error("an empty password was hashed")
	}
	if _, err := Hash([]byte("x"), "plain"); !errors.Is(err, ErrUnknown) {
		t.Errorf("plain: %v", err)
	}
}

func TestLockedSettingsNeverMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		setting := rapid.SampledFrom([]string{"", "x", "!", "*"}).Draw(t, "lock")
		if setting == "!" || setting == "*" {
			setting += rapid.String().Draw(t, "rest")
		}
		secret := rapid.SliceOf(rapid.Byte()).Draw(t, "secret")
		if ok, _ := Verify(setting, secret, legacy); ok {
			t.Fatalf("%q matches %q", secret, setting)
		}
	})
}

// FuzzCheck holds that no setting panics, and that what Check accepts is within
// the bounds (else the fuzzer itself would stall or be killed in Verify).
func FuzzCheck(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.setting)
	}
	f.Add("$7$zzzzzzzzzzzsalt$")
	f.Add("$y$j9T$$")
	f.Fuzz(func(t *testing.T, setting string) {
		if Locked(setting) && Check(setting, legacy) == nil {
			t.Fatal("locked and accepted")
		}
		_ = Check(setting, legacy)
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, s := range Schemes() {
		h, _ := Hash([]byte("correct horse"), s)
		b.Run(s, func(b *testing.B) {
			for b.Loop() {
				_, _ = Verify(h, []byte("correct horse"), Options{})
			}
		})
	}
}
