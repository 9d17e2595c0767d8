package transport

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBrokerServesRenewedCertificate(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	cert, key, _ := before.issue("broker", brokerHost)
	b := startBroker(t, func(c *BrokerConfig) { c.CertFile, c.KeyFile = cert, key })
	dial := func(trusted *authority) error {
		_, err := dialTest(t, DialConfig{URL: "tls://" + brokerHost, CAFile: trusted.caFile, Dialer: dialTo(b.Addr())})
		return err
	}
	require.NoError(t, dial(before))

	newCert, newKey, _ := after.issue("broker", brokerHost)
	replace(t, newCert, cert)
	require.NoError(t, dial(before), "half renewed: the pair before stays in use")
	replace(t, newKey, key)
	require.NoError(t, dial(after))
	require.ErrorIs(t, dial(before), ErrUntrusted)
}

// A link does not give up when its key is unknown or its file is missing for a while, and reads the file at each login.
func TestLinkComesBackWhenItsKeyDoes(t *testing.T) {
	seed, public := seedFile(t)
	_, other := seedFile(t)
	dir, address := t.TempDir(), freeAddress(t)
	start := func(key string) *Broker {
		return startBroker(t, func(c *BrokerConfig) {
			c.DataDir, c.Listen, c.Peers = dir, address, map[string]string{"west": key}
		})
	}
	first := start(public)
	link, err := dialTest(t, DialConfig{URL: "nats://" + address, NKeySeedFile: seed})
	require.NoError(t, err)
	require.NoError(t, link.Err())
	up := func() bool { return link.Err() == nil }
	first.Close()

	second := start(other)
	require.Eventually(t, func() bool { return errors.Is(link.Err(), ErrRefused) }, 10*time.Second, 10*time.Millisecond)
	second.Close()
	third := start(public)
	require.Eventually(t, up, 10*time.Second, 10*time.Millisecond)

	require.NoError(t, os.Rename(seed, seed+".away"))
	third.Close()
	start(public)
	require.Eventually(t, func() bool { return errors.Is(link.Err(), os.ErrNotExist) }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, os.Rename(seed+".away", seed))
	require.Eventually(t, up, 10*time.Second, 10*time.Millisecond)
}

// replace renames, as whoever renews a certificate does, with a modification time that differs for sure.
func replace(t *testing.T, from, to string) {
	t.Helper()
	later := time.Now().Add(time.Minute)
	require.NoError(t, os.Chtimes(from, later, later))
	require.NoError(t, os.Rename(from, to))
}
