package catalog

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/buntdb"
)

// Limits on the store. What does not fit is refused; it can be learned again.
const (
	maxStored      = MaxNodes  // nodes kept
	maxStoredValue = 256 << 10 // bytes of one record: MaxPlacements models with long names are half of it
	maxStoredBytes = 64 << 20  // bytes of all keys and values: 10,000 nodes with a dozen models each
)

// Store keeps records across restarts, in buntdb, with a spatial index on the
// network coordinate.
//
// buntdb is an index here, not a vault: its log has no checksums, its files no
// lock, and a damaged file can be accepted with other data in it. So it runs in
// memory and the store itself writes it to disk, whole, with a checksum, when
// asked by Save and Close. A node that is killed finds what was saved last;
// whatever is in doubt at the next start is put aside, never read.
//
// Safe for concurrent use. After Close every method fails.
type Store struct {
	db   *buntdb.DB
	log  *slog.Logger
	dir  string
	lock *storeLock

	mu     sync.Mutex // of writers
	nodes  int
	bytes  int
	dirty  bool // changed since the last Save
	closed bool
}

// Place is a placement and the node it is on.
type Place struct {
	Node NodeID `json:"node"`
	Placement
}

// ModelInfo is one model file under one name. Nodes that hold different files
// under the same name make several of it.
type ModelInfo struct {
	Model   ModelID  `json:"model"`
	Digest  string   `json:"digest"`
	Bytes   int64    `json:"bytes"`
	Holders []NodeID `json:"holders"` // by id
}

// OpenStore opens the store in dir, which it creates if need be, for this
// process alone. A store whose files are damaged or incomplete starts empty and
// says why in the log; an error means that dir cannot be used at all.
func OpenStore(dir string, log *slog.Logger) (*Store, error) {
	if err := makeStoreDir(dir); err != nil {
		return nil, fmt.Errorf("open catalog store: %w", err)
	}
	lock, err := lockStore(dir)
	if err != nil {
		return nil, fmt.Errorf("open catalog store: %w", err)
	}
	s := &Store{log: log, dir: dir, lock: lock}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog store: %w", err), lock.release())
	}
	return s, nil
}

// load fills a new buntdb from the saved file, or leaves it empty.
func (s *Store) load() error {
	saved, doubt := readSaved(s.dir)
	if doubt == nil {
		if doubt = s.fill(saved); doubt == nil {
			return nil
		}
	}
	s.log.Warn("the stored catalog is in doubt and was put aside; nodes and models will be learned again", "dir", s.dir, "why", doubt)
	if err := putAside(s.dir); err != nil {
		return err
	}
	return s.fill(nil)
}

func (s *Store) fill(saved []byte) error {
	n, err := checkSaved(saved)
	if err != nil {
		return err
	}
	db, err := buntdb.Open(":memory:")
	if err != nil {
		return err
	}
	if err = db.Load(strings.NewReader(string(saved))); err == nil {
		err = db.CreateSpatialIndex(nearIndex, nodePrefix+"*", pointOf)
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.db, s.nodes, s.bytes = db, n, len(saved)
	return nil
}

// Put keeps a node's record in place of the one before.
func (s *Store) Put(info NodeInfo) error {
	if err := info.Validate(); err != nil {
		return fmt.Errorf("store node: %w", err)
	}
	if !finite(info.Coord) {
		return errors.New("store node: its coordinate is not a place")
	}
	err := s.update(func(tx *buntdb.Tx) error {
		fresh, err := s.drop(tx, info.ID)
		if err != nil {
			return err
		}
		if fresh && s.nodes >= maxStored {
			return fmt.Errorf("the store is full at %d nodes", maxStored)
		}
		s.nodes++
		if err := s.set(tx, nodeKey(info.ID), encodePoint(info.Coord), &info); err != nil {
			return err
		}
		for _, p := range info.Placements {
			if err := s.set(tx, placeKey(p.Model, info.ID), "", &p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store node %s: %w", info.ID.Short(), err)
	}
	return nil
}

// Delete drops a node and its placements. It is no error if there is none.
func (s *Store) Delete(id NodeID) error {
	err := s.update(func(tx *buntdb.Tx) error {
		_, err := s.drop(tx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete node %s: %w", id.Short(), err)
	}
	return nil
}

// update runs f as one transaction; if it fails, the counts are as before too.
func (s *Store) update(f func(*buntdb.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes, bytes := s.nodes, s.bytes
	err := s.db.Update(f)
	if err != nil {
		s.nodes, s.bytes = nodes, bytes
		return err
	}
	s.dirty = true
	return nil
}

// drop removes what is kept of a node; fresh says that there was nothing.
func (s *Store) drop(tx *buntdb.Tx, id NodeID) (fresh bool, err error) {
	value, err := tx.Get(nodeKey(id))
	if errors.Is(err, buntdb.ErrNotFound) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	s.nodes--
	keys := []string{nodeKey(id)}
	if old, err := decodeNode(nodeKey(id), value); err == nil {
		for _, p := range old.Placements {
			keys = append(keys, placeKey(p.Model, id))
		}
	}
	for _, key := range keys {
		value, err := tx.Delete(key)
		if err == nil {
			s.bytes -= recordSize(key, value)
		} else if !errors.Is(err, buntdb.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}

func (s *Store) set(tx *buntdb.Tx, key, point string, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	value := seal(key, point+string(payload))
	if len(value) > maxStoredValue {
		return fmt.Errorf("the record has %d bytes, at most %d are kept", len(value), maxStoredValue)
	}
	if s.bytes += recordSize(key, value); s.bytes > maxStoredBytes {
		return fmt.Errorf("the store is full at %d bytes", maxStoredBytes)
	}
	_, _, err = tx.Set(key, value, nil)
	return err
}

// Nodes returns all records, by id.
func (s *Store) Nodes() ([]NodeInfo, error) {
	var out []NodeInfo
	err := s.scan(nodePrefix, func(key, value string) error {
		info, err := decodeNode(key, value)
		if err == nil {
			out = append(out, info)
		}
		return err
	})
	return out, err
}

// Placements returns where a model is, by node id.
func (s *Store) Placements(m ModelID) ([]Place, error) {
	var out []Place
	err := s.scan(placePrefix+m.s+keyEnd, func(key, value string) error {
		p, err := decodePlace(key, value)
		if err == nil {
			out = append(out, p)
		}
		return err
	})
	return out, err
}

// Models returns every model somebody holds, by name and digest.
func (s *Store) Models() ([]ModelInfo, error) {
	type file struct {
		model  ModelID
		digest string
		bytes  int64
	}
	holders := map[file][]NodeID{}
	err := s.scan(placePrefix, func(key, value string) error {
		p, err := decodePlace(key, value)
		if err == nil {
			f := file{p.Model, p.Digest, p.Bytes}
			holders[f] = append(holders[f], p.Node)
		}
		return err
	})
	out := make([]ModelInfo, 0, len(holders))
	for f, ids := range holders {
		out = append(out, ModelInfo{Model: f.model, Digest: f.digest, Bytes: f.bytes, Holders: ids})
	}
	slices.SortFunc(out, func(a, b ModelInfo) int {
		return cmp.Or(cmp.Compare(a.Model.s, b.Model.s), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.Bytes, b.Bytes))
	})
	return out, err
}

// scan calls f for the records below prefix in key order. A record that f
// cannot decode is left out, with a line in the log.
func (s *Store) scan(prefix string, f func(key, value string) error) error {
	err := s.db.View(func(tx *buntdb.Tx) error {
		return tx.AscendGreaterOrEqual("", prefix, func(key, value string) bool {
			if !strings.HasPrefix(key, prefix) {
				return false
			}
			if err := f(key, value); err != nil {
				s.log.Warn("a stored record is damaged and was left out", "key", key, "why", err)
			}
			return true
		})
	})
	if err != nil {
		return fmt.Errorf("read catalog store: %w", err)
	}
	return nil
}

// Near returns the k nodes with the least estimated round trip from c, nearest
// first, equal ones by id.
func (s *Store) Near(c Coord, k int) ([]NodeID, error) {
	if k <= 0 || !finite(c) {
		return nil, nil
	}
	type hit struct {
		id   NodeID
		dist float64
	}
	order := func(a, b hit) int { return cmp.Or(cmp.Compare(a.dist, b.dist), cmp.Compare(a.id.s, b.id.s)) }
	var hits []hit // the best k, in order
	err := s.db.View(func(tx *buntdb.Tx) error {
		return tx.Nearby(nearIndex, sealRoom+encodePoint(c), func(key, value string, squared float64) bool {
			// The index knows the plane only; a height adds to the distance. Once
			// the plane alone is farther than the k-th, so is all that follows.
			if len(hits) == k && math.Sqrt(squared)+float64(c.Height) > hits[k-1].dist*(1+1e-9) {
				return false
			}
			payload, err := unseal(key, value)
			if err != nil {
				return true
			}
			at, _, err := decodePoint(payload)
			id, idErr := ParseNodeID(strings.TrimPrefix(key, nodePrefix))
			if err != nil || idErr != nil {
				return true
			}
			h := hit{id, c.Distance(at)}
			i, _ := slices.BinarySearchFunc(hits, h, order)
			if hits = slices.Insert(hits, i, h); len(hits) > k {
				hits = hits[:k]
			}
			return true
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read catalog store: %w", err)
	}
	ids := make([]NodeID, len(hits))
	for i := range hits {
		ids[i] = hits[i].id
	}
	return ids, nil
}

// Save writes what is kept to disk if it has changed since the last time. When
// it returns without an error, a node that is killed will find it again.
func (s *Store) Save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("save catalog store: it is closed")
	}
	return s.save()
}

func (s *Store) save() error {
	if !s.dirty {
		return nil
	}
	if err := writeSaved(s.dir, s.db.Save); err != nil {
		return fmt.Errorf("save catalog store: %w", err)
	}
	s.dirty = false
	return nil
}

// Close saves and gives the folder back. A second call does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.save(), s.db.Close(), s.lock.release())
}
