package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/buntdb"
)

// Keys: "n|<node>" has the node's record, "p|<model>|<node>" a placement. The
// bar is in no identifier.
const (
	nodePrefix  = "n|"
	placePrefix = "p|"
	keyEnd      = "|"
	nearIndex   = "near"
)

func nodeKey(id NodeID) string             { return nodePrefix + id.s }
func placeKey(m ModelID, id NodeID) string { return placePrefix + m.s + keyEnd + id.s }

// A value is sealed: eight hex digits of CRC-32C over key and payload come
// first, so that a changed value, or one under another's key, is found out.
const sealLen = 8

const sealRoom = "00000000"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seal(key, payload string) string { return fmt.Sprintf("%08x", sum(key, payload)) + payload }

func sum(key, payload string) uint32 {
	return crc32.Update(crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, []byte{0}), castagnoli, []byte(payload))
}

var errSeal = errors.New("checksum does not match")

func unseal(key, value string) (string, error) {
	if len(value) < sealLen || value[:sealLen] != fmt.Sprintf("%08x", sum(key, value[sealLen:])) {
		return "", errSeal
	}
	return value[sealLen:], nil
}

// A node's payload starts with its coordinate, "[x y height]", where the
// spatial index finds it without reading JSON.
func encodePoint(c Coord) string {
	return buntdb.Point(float64(c.X), float64(c.Y), float64(c.Height))
}

func decodePoint(payload string) (c Coord, rest string, err error) {
	point, rest, ok := strings.Cut(payload, "]")
	fields := strings.Fields(strings.TrimPrefix(point, "["))
	if !ok || len(fields) != 3 {
		return c, "", errors.New("no coordinate")
	}
	for i, to := range []*float32{&c.X, &c.Y, &c.Height} {
		f, err := strconv.ParseFloat(fields[i], 32)
		if err != nil {
			return c, "", err
		}
		*to = float32(f)
	}
	if !finite(c) {
		return c, "", errors.New("coordinate is not a place")
	}
	return c, rest, nil
}

// pointOf is the spatial index's view of a value: a point of the plane. It must
// not fail; what cannot be read lies in the origin and is left out on reading.
func pointOf(value string) (lo, hi []float64) {
	c, _, _ := decodePoint(value[min(sealLen, len(value)):])
	p := []float64{float64(c.X), float64(c.Y)}
	return p, p
}

func finite(c Coord) bool {
	ok := func(f float32) bool { return !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) }
	return ok(c.X) && ok(c.Y) && ok(c.Height) && c.Height >= 0
}

func decodeNode(key, value string) (info NodeInfo, err error) {
	payload, err := unseal(key, value)
	if err != nil {
		return info, err
	}
	at, rest, err := decodePoint(payload)
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal([]byte(rest), &info); err != nil {
		return NodeInfo{}, err
	}
	if nodeKey(info.ID) != key || info.Coord != at {
		return NodeInfo{}, errors.New("record of another node")
	}
	return info, info.Validate()
}

func decodePlace(key, value string) (p Place, err error) {
	payload, err := unseal(key, value)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(payload), &p.Placement); err != nil {
		return Place{}, err
	}
	p.Node, err = ParseNodeID(key[strings.LastIndex(key, keyEnd)+1:])
	if err == nil && placeKey(p.Model, p.Node) != key {
		err = errors.New("placement of another model")
	}
	return p, err
}

// recordSize is what a record takes in a saved file.
func recordSize(key, value string) int {
	return len("*3\r\n$3\r\nset\r\n") + partSize(len(key)) + partSize(len(value))
}

func partSize(n int) int { return len("$\r\n\r\n") + len(strconv.Itoa(n)) + n }

// checkSaved reads a saved file as buntdb would, but takes only what Save
// writes: "set" commands of sound records. buntdb's own reader must not meet
// anything else: a length in the file makes it allocate as much, and an empty
// command makes it panic. It returns the number of nodes.
func checkSaved(b []byte) (nodes int, err error) {
	if len(b) > maxStoredBytes {
		return 0, fmt.Errorf("it has %d bytes, at most %d are read", len(b), maxStoredBytes)
	}
	for size := len(b); len(b) > 0; {
		rest, ok := bytes.CutPrefix(b, []byte("*3\r\n$3\r\nset\r\n"))
		key, rest, ok1 := cutPart(rest)
		value, rest, ok2 := cutPart(rest)
		if !ok || !ok1 || !ok2 {
			return 0, fmt.Errorf("byte %d: not a record", size-len(b))
		}
		switch k := string(key); {
		case strings.HasPrefix(k, nodePrefix):
			_, err = decodeNode(k, string(value))
			nodes++
		case strings.HasPrefix(k, placePrefix):
			_, err = decodePlace(k, string(value))
		default:
			err = errors.New("unknown key")
		}
		if err != nil {
			return 0, fmt.Errorf("byte %d: %w", size-len(b), err)
		}
		b = rest
	}
	if nodes > maxStored {
		return 0, fmt.Errorf("it has %d nodes, at most %d are read", nodes, maxStored)
	}
	return nodes, nil
}

// cutPart takes one "$<length>\r\n<bytes>\r\n" from the front of b.
func cutPart(b []byte) (part, rest []byte, ok bool) {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || len(line) < 2 || len(line) > 8 || line[0] != '$' {
		return nil, nil, false
	}
	n, err := strconv.ParseUint(string(line[1:]), 10, 31)
	if err != nil || n > maxStoredValue || n+2 > uint64(len(rest)) || string(rest[n:n+2]) != "\r\n" {
		return nil, nil, false
	}
	return rest[:n], rest[n+2:], true
}
