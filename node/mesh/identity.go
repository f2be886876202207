package mesh

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"omx/node/catalog"
)

const pemType = "PRIVATE KEY"

// LoadKey reads a node's identity from a file (PEM, PKCS #8, Ed25519). If there
// is none it makes one and stores it, readable by the owner only, so that it is
// on disk before it is used. A key others can read is refused.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = createKey(path)
		if errors.Is(err, fs.ErrExist) {
			key, err = readKey(path) // another process was faster
		}
	}
	if err != nil {
		return nil, fmt.Errorf("load node key %s: %w", path, err)
	}
	return key, nil
}

// ReadKey is LoadKey without making one; the error is fs.ErrNotExist if there is
// none.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	key, err := readKey(path)
	if err != nil {
		return nil, fmt.Errorf("load node key %s: %w", path, err)
	}
	return key, nil
}

func readKey(path string) (ed25519.PrivateKey, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxKeyFile {
		return nil, errors.New("file is too large for a key")
	}
	if perm := st.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("mode is %#o, others can read it; run chmod 600 on it", perm)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != pemType {
		return nil, errors.New("not a PEM private key; restore it from a backup or delete it to get a new identity")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("damaged key; restore it from a backup or delete it to get a new identity: %w", err)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("not an Ed25519 key")
	}
	return key, nil
}

func createKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writeFile(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})); err != nil {
		return nil, err
	}
	return key, nil
}

// writeFile is all or nothing: temporary file, sync, link, sync of the folder.
// Linking before renaming means that of two processes that start together the
// second finds the first one's identity rather than replacing it.
func writeFile(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			err = os.Rename(f.Name(), path) // a file system without hard links
		}
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// identify derives a key's peer identity in both of its forms.
func identify(key ed25519.PrivateKey) (crypto.PrivKey, peer.ID, catalog.NodeID, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, "", catalog.NodeID{}, fmt.Errorf("node key has %d bytes, not %d", len(key), ed25519.PrivateKeySize)
	}
	k, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, "", catalog.NodeID{}, fmt.Errorf("read node key: %w", err)
	}
	p, err := peer.IDFromPrivateKey(k)
	if err != nil {
		return nil, "", catalog.NodeID{}, fmt.Errorf("derive node id: %w", err)
	}
	id, err := catalog.ParseNodeID(p.String())
	return k, p, id, err
}
