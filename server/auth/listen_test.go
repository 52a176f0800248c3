package auth

import (
	"strings"
	"testing"
)

func TestListenAllowed(t *testing.T) {
	for _, row := range []struct {
		address               string
		credentials, insecure bool
		want                  string
	}{
		{"127.0.0.1:7330", false, false, ""},
		{"127.9.9.9:0", false, false, ""},
		{"[::1]:7330", false, false, ""},
		{"[::ffff:127.0.0.1]:7330", false, false, ""},
		{"localhost:7330", false, false, ""},
		{"0.0.0.0:7330", false, false, "auth.tokens"},
		{":7330", false, false, "auth.tokens"},
		{"[::]:7330", false, false, "auth.tokens"},
		{"192.0.2.1:7330", false, false, "auth.tokens"},
		{"localhost.example.com:7330", false, false, "auth.tokens"},
		{"0.0.0.0:7330", true, false, ""},
		{"0.0.0.0:7330", false, true, ""},
		{"nonsense", false, false, "HOST:PORT"},
	} {
		err := ListenAllowed(row.address, row.credentials, row.insecure)
		if (row.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}
