package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/pgfed/pgfed/internal/pglocal"
	"github.com/pgfed/pgfed/internal/proctest"
)

// settings of every server. Durability stays on: tests kill servers.
const settings = `
listen_addresses = '127.0.0.1'
wal_level = logical
fsync = on
max_wal_senders = 20
max_replication_slots = 20
max_connections = 100
shared_buffers = 64MB
max_prepared_transactions = 10
track_commit_timestamp = on
log_line_prefix = '%m [%p] %q%a '
log_checkpoints = off
timezone = 'UTC'
lc_messages = 'C'
`

// template returns the folder of a fresh cluster that copies are made of. It
// is made once per machine, version and settings, by whoever comes first.
func template(i pglocal.Installation) (string, error) {
	sum := sha256.Sum256([]byte(i.Version + i.Bin + settings + templateRevision))
	root := filepath.Join(pglocal.TempFolder(), fmt.Sprintf("pgfed-template-%d", os.Getuid()))
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("make template folder: %w", err)
	}
	folder := filepath.Join(root, fmt.Sprintf("%d-%s", i.Major, hex.EncodeToString(sum[:6])))
	lock, err := proctest.Lock(folder+".lock", true)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if _, err := os.Stat(filepath.Join(folder, "PG_VERSION")); err == nil {
		return folder, nil
	}
	making := folder + ".making"
	if err := os.RemoveAll(making); err != nil {
		return "", fmt.Errorf("remove unfinished template: %w", err)
	}
	if err := i.MakeCluster(context.Background(), making); err != nil {
		return "", err
	}
	return folder, os.Rename(making, folder)
}

const templateRevision = "1"

// copyCluster fills a server's own folder: data/ and s/ for the socket. The
// system identifier is the template's, so it is drawn anew: two databases of
// one federation never share one.
func copyCluster(i pglocal.Installation, root string) error {
	from, err := template(i)
	if err != nil {
		return err
	}
	if err := i.MakeFolder(filepath.Join(root, "s"), 0o755); err != nil {
		return err
	}
	out, err := exec.Command("cp", "-a", "--reflink=auto", from, filepath.Join(root, "data")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy template: %w: %s", err, out)
	}
	return newIdentity(filepath.Join(root, "data"))
}

// newIdentity gives the stopped cluster a system identifier of its own. The
// identifier is the first field of pg_control, whose checksum follows the
// structure (its size differs between versions, so it is searched for), and it
// is repeated at the start of every WAL segment.
func newIdentity(data string) error {
	identity := make([]byte, 8)
	binary.LittleEndian.PutUint64(identity, uint64(time.Now().Unix())<<32|uint64(rand.Uint32()))
	err := patch(filepath.Join(data, "global", "pg_control"), func(control []byte) error {
		table := crc32.MakeTable(crc32.Castagnoli)
		for at := 8; at+4 <= 512; at += 4 {
			if crc32.Checksum(control[:at], table) == binary.LittleEndian.Uint32(control[at:]) {
				copy(control, identity)
				binary.LittleEndian.PutUint32(control[at:], crc32.Checksum(control[:at], table))
				return nil
			}
		}
		return errors.New("find the checksum of pg_control: none fits")
	})
	if err != nil {
		return err
	}
	segments, _ := filepath.Glob(filepath.Join(data, "pg_wal", "????????????????????????"))
	for _, segment := range segments {
		const identityInLongHeader = 24
		err := patch(segment, func(page []byte) error {
			copy(page[identityInLongHeader:], identity)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// patch changes the first page of a file.
func patch(path string, change func(page []byte) error) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open to patch: %w", err)
	}
	defer file.Close()
	page := make([]byte, 8192)
	if _, err := file.ReadAt(page, 0); err != nil {
		return fmt.Errorf("read to patch: %w", err)
	}
	if err := change(page); err != nil {
		return err
	}
	if _, err := file.WriteAt(page, 0); err != nil {
		return fmt.Errorf("write patched: %w", err)
	}
	return nil
}
