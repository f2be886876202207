package mesh

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"omx/node/mesh/member"
)

const (
	mdnsTTL     = 120 // seconds, as RFC 6762 has it for addresses
	mdnsRecords = 64  // of a packet that are looked at
)

// service is the name under which the mesh's members look for one another.
func (s *members) service() dnsmessage.Name { return mdnsService(member.MeshOf(s.key)) }

// mdnsService tells nothing of the mesh to who does not know its name.
func mdnsService(mesh member.MeshID) dnsmessage.Name {
	sum := sha256.Sum256(append([]byte("omx-mdns-1\x00"), mesh[:]...))
	label := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	return dnsmessage.MustNewName("_omx-" + label + "._udp.local.")
}

func mdnsQuestion(service dnsmessage.Name) []byte {
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: service, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		panic("mesh: pack a question: " + err.Error()) // its name has a fixed form
	}
	return b
}

// mdnsAnswerTo says that a node is at a port of the sender's address.
func mdnsAnswerTo(service dnsmessage.Name, id string, port uint16) ([]byte, error) {
	sum := sha256.Sum256([]byte(id))
	instance, err := dnsmessage.NewName(hex.EncodeToString(sum[:8]) + "." + service.String())
	if err != nil {
		return nil, err
	}
	head := func(n dnsmessage.Name) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET, TTL: mdnsTTL}
	}
	m := dnsmessage.Message{
		Header:      dnsmessage.Header{Response: true, Authoritative: true},
		Answers:     []dnsmessage.Resource{{Header: head(service), Body: &dnsmessage.PTRResource{PTR: instance}}},
		Additionals: []dnsmessage.Resource{{Header: head(instance), Body: &dnsmessage.TXTResource{TXT: []string{"id=" + id, fmt.Sprintf("port=%d", port)}}}},
	}
	return m.Pack()
}

// mdnsFound is a node that somebody says is there.
type mdnsFound struct {
	id   string
	port uint16
}

// parseMDNS reads a packet: whether it asks for the service, and whom it names.
// What it cannot read it leaves out.
func parseMDNS(b []byte, service dnsmessage.Name) (asked bool, found []mdnsFound) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return false, nil
	}
	want := strings.ToLower(service.String())
	for range mdnsRecords {
		q, err := p.Question()
		if err != nil {
			break
		}
		if !h.Response && q.Type == dnsmessage.TypePTR && strings.ToLower(q.Name.String()) == want {
			asked = true
		}
	}
	if !h.Response || p.SkipAllQuestions() != nil {
		return asked, nil
	}
	sections := []struct {
		head func() (dnsmessage.ResourceHeader, error)
		skip func() error
	}{{p.AnswerHeader, p.SkipAnswer}, {p.AuthorityHeader, p.SkipAuthority}, {p.AdditionalHeader, p.SkipAdditional}}
	for left, i := mdnsRecords, 0; i < len(sections); {
		h, err := sections[i].head()
		if err == dnsmessage.ErrSectionDone {
			i++
			continue
		}
		if left--; err != nil || left < 0 {
			break
		}
		if h.Type != dnsmessage.TypeTXT || !strings.HasSuffix(strings.ToLower(h.Name.String()), "."+want) {
			if sections[i].skip() != nil {
				break
			}
			continue
		}
		txt, err := p.TXTResource()
		if err != nil {
			break
		}
		if f := parseTXT(txt.TXT); f.id != "" && f.port != 0 && h.TTL > 0 {
			found = append(found, f)
		}
	}
	return asked, found
}

func parseTXT(list []string) (f mdnsFound) {
	for _, s := range list {
		switch key, value, _ := strings.Cut(s, "="); key {
		case "id":
			f.id = value
		case "port":
			if n, err := strconv.ParseUint(value, 10, 16); err == nil {
				f.port = uint16(n)
			}
		}
	}
	return f
}
