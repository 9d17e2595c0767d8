package fedtest

import (
	"os"
	"os/exec"
	"path/filepath"
)

// What happens to the disk of an embedded broker. The replicator must not run.

func (n *Node) store() string {
	n.t.Helper()
	if n.Running() {
		n.t.Fatalf("the broker's store of %s is in use: stop or kill its replicator first", n.Name)
	}
	return filepath.Join(n.DataDir, "jetstream")
}

// HasStore reports whether the broker has made its store.
func (n *Node) HasStore() bool {
	_, err := os.Stat(n.store())
	return err == nil
}

// LoseStore deletes the broker's store.
func (n *Node) LoseStore() {
	n.t.Helper()
	if !n.HasStore() {
		n.t.Fatalf("the broker's store of %s is not where it is looked for", n.Name)
	}
	if err := os.RemoveAll(n.store()); err != nil {
		n.t.Fatal(err)
	}
}

// SaveStore keeps a copy of the broker's store.
func (n *Node) SaveStore() {
	n.t.Helper()
	store := n.store()
	if err := os.RemoveAll(store + ".saved"); err != nil {
		n.t.Fatal(err)
	}
	n.copy(store, store+".saved")
}

// HasSavedStore reports whether SaveStore was called.
func (n *Node) HasSavedStore() bool {
	_, err := os.Stat(filepath.Join(n.DataDir, "jetstream.saved"))
	return err == nil
}

// RestoreStore replaces the broker's store by the saved copy.
func (n *Node) RestoreStore() {
	n.t.Helper()
	store := n.store()
	if err := os.RemoveAll(store); err != nil {
		n.t.Fatal(err)
	}
	n.copy(store+".saved", store)
}

func (n *Node) copy(from, to string) {
	n.t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		n.t.Fatalf("copy the broker's store: %v: %s", err, out)
	}
}
