package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// Reasons why a broker cannot be used. Each says what to do; errors of Dial wrap the one that applies and the cause.
var (
	ErrInsecure = errors.New("plaintext is allowed on loopback only: use wss:// (through an HTTPS route) or tls:// (through a passthrough route)")
	// ErrUntrusted: nobody we trust vouches for the certificate, or it has expired.
	ErrUntrusted = errors.New("the server's certificate is not trusted: give the authority that signed it as CA file (for a passthrough route the broker's, otherwise the router's)")
	// ErrServerName: the certificate is for somebody else.
	ErrServerName = errors.New("the server's certificate is for another name: dial the name it was issued for, or issue one for this name; a router's default certificate here means that the route does not exist")
	// ErrHandshake: something answers, but not our broker.
	ErrHandshake = errors.New("what answers is not a pgfed broker: tls:// needs a passthrough route to the broker's TLS port and wss:// a route to its WebSocket port; a broker of your own needs handshake_first for tls://; if both are right, the broker behind the route is down")
	// ErrUnreachable: nothing answers.
	ErrUnreachable = errors.New("nobody listens there, or the name does not resolve: check the address, the route and that the broker runs")
	// ErrRefused: the broker does not know the key, or not any more.
	ErrRefused = errors.New("the broker does not accept this node's key: its peers' list needs this node's public nkey")
)

// ErrKeyFile says that this node's own key cannot be used.
var ErrKeyFile = errors.New("this node's nkey seed cannot be used: check the file, its permissions and that it holds the seed it held at start")

// ErrDialTimeout is what a Dial that got no complete answer in time wraps, besides context.DeadlineExceeded.
var ErrDialTimeout = fmt.Errorf("no complete answer in time: check firewalls; for tls:// also that the route is passthrough and the broker speaks TLS first, for nats:// that it speaks no TLS: %w", context.DeadlineExceeded)

// explain adds the reason to what nats.go reports. dialing is the last error below it, if any.
func explain(target endpoints, dialing, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if dialing != nil {
		err = dialing // nats.go reports a refused connection as "no servers available"
	}
	reason := class(err)
	if reason == nil && target.websocket() && !isDial(err) {
		reason = ErrHandshake // an HTTP answer that is no upgrade comes as a bare text
	}
	if reason == nil {
		return fmt.Errorf("dial %s: %w", target.names(), err)
	}
	return fmt.Errorf("dial %s: %w: %w", target.names(), reason, err)
}

// class finds the reason in an error by its type, nil when it has none of ours.
func class(err error) error {
	for _, reason := range []error{ErrUntrusted, ErrServerName, ErrHandshake, ErrUnreachable, ErrRefused, ErrKeyFile, ErrDialTimeout} {
		if errors.Is(err, reason) {
			return reason
		}
	}
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		timeout   net.Error
		address   *net.OpError
		lookup    *net.DNSError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &name):
		return ErrServerName
	case errors.As(err, &authority), errors.As(err, &invalid):
		return ErrUntrusted
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return ErrRefused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout),
		errors.As(err, &timeout) && timeout.Timeout():
		return ErrDialTimeout
	case errors.As(err, &record), errors.As(err, &alert), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, nats.ErrTLS), errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted), errors.Is(err, nats.ErrNoInfoReceived):
		return ErrHandshake
	case errors.As(err, &lookup), errors.Is(err, nats.ErrNoServers), errors.As(err, &address) && address.Op == "dial":
		return ErrUnreachable
	}
	return classOfProtocol(err)
}

// classOfProtocol knows the one login error that nats.go passes on as the server's text.
func classOfProtocol(err error) error {
	if strings.Contains(strings.ToLower(err.Error()), "authorization violation") {
		return ErrRefused
	}
	return nil
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
