package auth

import (
	"fmt"
	"net"
	"net/netip"
)

// ListenAllowed says whether the daemon may listen at an address. Where callers need no credentials that is so on loopback only,
// unless the operator insists.
func ListenAllowed(address string, hasCredentials, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen: %q is not HOST:PORT", address)
	}
	if hasCredentials || insecure || loopback(host) {
		return nil
	}
	return fmt.Errorf("listen: %s is not a loopback address, and anybody who reaches it could measure and delete: "+
		"set auth.tokens or auth.client_ca, or listen on 127.0.0.1; insecure allows it if the network is trusted", address)
}

// loopback says whether only this host reaches an address. Names other than localhost may mean anything.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
