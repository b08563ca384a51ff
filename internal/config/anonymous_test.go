package config

import "testing"

// TestAnIdIsOfABlockAndNotOfItsPlace: around a reload authd has the new
// configuration before it and master, for a while, the old one. An anonymous login
// by a block of the one must not be taken for one by a block of the other.
func TestAnIdIsOfABlockAndNotOfItsPlace(t *testing.T) {
	ids := func(src string) map[string]uint32 {
		t.Helper()
		p, diags := Parse("t.hcl", []byte(src), Facts{})
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		m := map[string]uint32{}
		for i := range p.Hosts {
			set := p.Hosts[i].Base
			for j, a := range set.Anonymous {
				m[p.Hosts[i].Name+" "+a.Path] = a.ID
				if authd := set.Auth.Anonymous[j]; authd.ID != a.ID || a.ID == 0 {
					t.Errorf("%s: id %d for master, %d for authd", a.Path, a.ID, authd.ID)
				}
			}
		}
		seen := map[uint32]bool{}
		for _, id := range m {
			if seen[id] {
				t.Errorf("id %d twice: %v", id, m)
			}
			seen[id] = true
		}
		return m
	}
	const (
		pub   = "anonymous \"/srv/pub\" { user = \"ftp\" }\n"
		drop  = "anonymous \"/srv/drop\" {\n user = \"ftp\"\n alias_only = true\n aliases = [\"drop\"]\n require_password = true\n}\n"
		fresh = "anonymous \"/srv/new\" {\n user = \"ftp\"\n alias_only = true\n aliases = [\"new\"]\n}\n"
	)
	before, after := ids(pub+drop), ids(fresh+pub+drop)
	for path, id := range after {
		if was, ok := before[path]; ok && was != id {
			t.Errorf("%s: another id where a block was put before it: %d, %d", path, was, id)
		}
		for other, was := range before {
			if other != path && was == id {
				t.Errorf("%s has the id that %s had", path, other)
			}
		}
	}
	open := ids(pub + "anonymous \"/srv/drop\" {\n user = \"ftp\"\n alias_only = true\n aliases = [\"drop\"]\n}\n")
	if name := before["default /srv/drop"]; name == open["default /srv/drop"] {
		t.Errorf("a block that asks for no password any more has the id %d of the one that did", name)
	}
}
