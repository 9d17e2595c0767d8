package fedtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgfed/pgfed/internal/brokertest"
)

// papers are what a federation needs to be let in nowhere but where it belongs:
// a key for every node, and one certificate that all brokers show and all nodes
// trust.
type papers struct {
	folder string
	public map[string]string // nkeys, by node
}

func newPapers(t testing.TB, folder string, nodes []string) *papers {
	t.Helper()
	p := &papers{folder: folder, public: map[string]string{}}
	if err := p.writeCertificate(); err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		public, seed := brokertest.NewKey(t)
		if err := os.WriteFile(p.file(node+".seed"), seed, 0o600); err != nil {
			t.Fatal(err)
		}
		p.public[node] = public
	}
	return p
}

func (p *papers) file(name string) string { return filepath.Join(p.folder, name) }

// writeCertificate signs a certificate by itself, for the address of all
// brokers and their proxies.
func (p *papers) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("create certificate key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fedtest"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("sign certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode certificate key: %w", err)
	}
	for _, block := range []struct {
		file string
		pem.Block
	}{
		{"broker.pem", pem.Block{Type: "CERTIFICATE", Bytes: certificate}},
		{"broker.key", pem.Block{Type: "PRIVATE KEY", Bytes: private}},
	} {
		if err := os.WriteFile(p.file(block.file), pem.EncodeToMemory(&block.Block), 0o600); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	return nil
}

// arguments of a node's replicator.
func (p *papers) arguments(node string) []string {
	return []string{"--nkey", p.file(node + ".seed"), "--ca", p.file("broker.pem"),
		"--broker-cert", p.file("broker.pem"), "--broker-key", p.file("broker.key")}
}
