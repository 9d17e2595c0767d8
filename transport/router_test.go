package transport

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
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The names the router knows. testNames maps them to it.
const (
	passthroughHost = "passthrough.apps.example.com"
	edgeHost        = "edge.apps.example.com"
	reencryptHost   = "reencrypt.apps.example.com"
	brokerHost      = "broker.internal"
)

// tunnelTimeout is how long the router lets a connection be silent.
const tunnelTimeout = 2 * time.Second

// authority signs certificates for a test.
type authority struct {
	t      *testing.T
	dir    string
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	caFile string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key = a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pgfed test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := a.sign(template, template, a.key)
	var err error
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.caFile = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

// issue writes a certificate for the names, its key, and both in one file as HAProxy wants them.
func (a *authority) issue(name string, hosts ...string) (certFile, keyFile, bothFile string) {
	a.t.Helper()
	key := a.newKey()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(a.t, err)
	der := a.sign(&x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, key)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	certFile = a.write(name+".pem", "CERTIFICATE", der)
	keyFile = a.write(name+".key", "PRIVATE KEY", private)
	cert, err := os.ReadFile(certFile)
	require.NoError(a.t, err)
	pair, err := os.ReadFile(keyFile)
	require.NoError(a.t, err)
	bothFile = filepath.Join(a.dir, name+".both.pem")
	require.NoError(a.t, os.WriteFile(bothFile, append(cert, pair...), 0o600))
	return certFile, keyFile, bothFile
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	return der
}

func (a *authority) write(name, kind string, der []byte) string {
	file := filepath.Join(a.dir, name)
	require.NoError(a.t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}

// router is a real HAProxy, configured as the HTTPS router of a Kubernetes cluster is: one port, the name decides.
type router struct {
	t       *testing.T
	address string
	config  string
	command *exec.Cmd
}

const routerConfig = `
global
    maxconn 100
defaults
    retries 0
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    timeout tunnel %[1]dms

frontend public
    mode tcp
    bind %[2]s
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    use_backend passthrough if { req.ssl_sni -i %[3]s }
    default_backend terminated

backend passthrough
    mode tcp
    server broker %[4]s

backend terminated
    mode tcp
    server https unix@%[5]s

frontend https
    mode http
    bind unix@%[5]s ssl crt %[6]s
    use_backend edge if { req.hdr(host),field(1,:) -i %[7]s }
    use_backend reencrypt if { req.hdr(host),field(1,:) -i %[8]s }

backend edge
    mode http
    server broker %[9]s

backend reencrypt
    mode http
    server broker %[10]s ssl verify required ca-file %[11]s verifyhost %[12]s
`

// startRouter sends the three names to the brokers' ports; an empty one is a route without a broker.
func startRouter(t *testing.T, a *authority, passthrough, edge, reencrypt string) *router {
	t.Helper()
	_, err := exec.LookPath("haproxy")
	require.NoError(t, err, "this test needs a real HTTPS router: install haproxy (Debian: apt-get install haproxy)")
	nobody := freeAddress(t)
	for _, address := range []*string{&passthrough, &edge, &reencrypt} {
		if *address == "" {
			*address = nobody
		}
	}
	_, _, cert := a.issue("router", edgeHost, reencryptHost)
	sockets, err := os.MkdirTemp("", "pgfed") // t.TempDir's paths are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(sockets)) })
	r := &router{t: t, address: freeAddress(t), config: filepath.Join(a.dir, "haproxy.cfg")}
	config := fmt.Sprintf(routerConfig, tunnelTimeout.Milliseconds(), r.address, passthroughHost, passthrough,
		filepath.Join(sockets, "https"), cert, edgeHost, reencryptHost, edge, reencrypt, a.caFile, brokerHost)
	require.NoError(t, os.WriteFile(r.config, []byte(config), 0o600))
	t.Cleanup(r.kill)
	r.start()
	return r
}

func (r *router) start() {
	r.t.Helper()
	require.NoError(r.t, r.launch())
	require.Eventually(r.t, func() bool {
		conn, err := net.Dial("tcp", r.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "haproxy does not listen")
}

// launch does not wait until the router listens.
func (r *router) launch() error {
	r.command = exec.Command("haproxy", "-db", "-f", r.config)
	r.command.Stdout, r.command.Stderr = r.t.Output(), r.t.Output()
	return r.command.Start()
}

// kill ends the router and every connection through it.
func (r *router) kill() {
	if r.command == nil {
		return
	}
	_ = r.command.Process.Kill()
	_ = r.command.Wait()
	r.command = nil
}

// Dial connects every name to the router, as DNS would.
func (r *router) Dial(network, _ string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 5 * time.Second}).Dial(network, r.address)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
