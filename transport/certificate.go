package transport

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate serves a key pair from two files and reads them again when one has changed. While the new pair does not fit
// together (half written), the one before stays in use.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	written [2]time.Time
}

func newCertificate(certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	if err := c.reload(); err != nil {
		return nil, fmt.Errorf("load broker certificate: %w", err)
	}
	return c, nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.reload(); err != nil {
		c.logger.Warn("broker certificate has changed but cannot be used, keeping the one before", "file", c.certFile, "error", err)
	}
	return c.pair, nil
}

func (c *certificate) reload() error {
	var written [2]time.Time
	for i, file := range []string{c.certFile, c.keyFile} {
		status, err := os.Stat(file)
		if err != nil {
			return err
		}
		written[i] = status.ModTime()
	}
	if c.pair != nil && written == c.written {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair, c.written = &pair, written
	return nil
}
