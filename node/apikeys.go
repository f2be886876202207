package node

import (
	"fmt"
	"os"
	"path/filepath"

	"omx/node/keys"
)

// openKeys reads the file of API keys. One that was named must be there: whoever
// names it wants no open door.
func (n *Node) openKeys() (err error) {
	path := n.cfg.Keys
	if path == "" {
		path = filepath.Join(n.cfg.Data, KeysFile)
	} else if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("read keys: %w; make one with: omx keys add NAME --file %s", err, path)
	}
	n.keys, err = keys.Open(path)
	return err
}

// pollKeys takes a changed file of keys into use.
func (n *Node) pollKeys() {
	switch changed, err := n.keys.Poll(); {
	case err != nil:
		n.log.Error("keys not changed", "why", err)
	case changed:
		n.log.Warn("keys changed", "keys", len(n.keys.Ring().Keys()))
	}
}
