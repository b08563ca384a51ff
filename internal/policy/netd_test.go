package policy

import (
	"slices"
	"testing"
)

func TestPortsOfTheStores(t *testing.T) {
	v := Netd{Share: []BanShare{
		{Address: "127.0.0.1:6379"},
		{Address: "[2001:db8::1]:11211"},
		{Address: "cache.example.org:6379"},
		{Address: "nothing"},
		{Address: "x:"},
		{Address: "x:65536"},
		{Address: "x:-1"},
		{Address: "x:0"},
		{Address: ""},
	}}
	if got := v.Ports(); !slices.Equal(got, []uint16{6379, 11211}) {
		t.Error(got)
	}
}
