package decoder

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/pgtest"
)

func TestCaptureOverTLS(t *testing.T) {
	server := pgtest.Start(t)
	server.Stop()
	makeCertificate(t, server.DataDir)
	server.Configure("ssl = on\n")
	server.Start()
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	r := s.run(func(cfg *Config, _ *recorder) {
		cfg.ConnString = strings.Replace(cfg.ConnString, "sslmode=disable", "sslmode=require", 1)
	})
	s.exec("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g", "INSERT INTO t VALUES (0, repeat('y', 3000000))")
	got := r.await(2)
	require.Len(t, got[0].changes, 20000)
	require.Equal(t, "t", s.value("SELECT ssl::text::char FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)"))
	r.until(func() bool { return s.confirmed() >= got[1].end })
}

// makeCertificate puts a self-signed pair where the server looks for it.
func makeCertificate(t *testing.T, folder string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	certificate := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	owner, err := os.Stat(folder)
	require.NoError(t, err)
	id := owner.Sys().(*syscall.Stat_t)
	for name, block := range map[string]*pem.Block{
		"server.crt": {Type: "CERTIFICATE", Bytes: der}, "server.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
		require.NoError(t, os.Chown(path, int(id.Uid), int(id.Gid)))
	}
}

// A path that swallows everything is noticed; an idle server is not mistaken
// for one.
func TestSilenceEndsCapture(t *testing.T) {
	server := pgtest.Start(t)
	s := newSite(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	p := newPath(t, server)
	const timeout = 1500 * time.Millisecond
	r := s.run(func(cfg *Config, _ *recorder) {
		cfg.ConnString = p.through(t, cfg.ConnString)
		cfg.ReceiveTimeout = timeout
	})
	s.exec("INSERT INTO t VALUES (1)")
	r.await(1)
	idle := time.Now()
	r.until(func() bool { return time.Since(idle) > 2*timeout })

	p.swallow.Store(true)
	require.ErrorIs(t, r.wait(), ErrSilent)
}

// path is a TCP path to a server that can begin to swallow all bytes.
type path struct {
	listener net.Listener
	swallow  atomic.Bool
}

func newPath(t *testing.T, server *pgtest.Server) *path {
	t.Helper()
	target, err := url.Parse(server.URL())
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &path{listener: listener}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target.Host)
			if err != nil {
				_ = near.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
			wg.Go(func() { p.pass(far, near) })
			wg.Go(func() { p.pass(near, far) })
		}
	})
	return p
}

func (p *path) pass(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if p.swallow.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// through replaces the address in a connection string.
func (p *path) through(t *testing.T, connString string) string {
	t.Helper()
	u, err := url.Parse(connString)
	require.NoError(t, err)
	u.Host = p.listener.Addr().String()
	return u.String()
}
