package node

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/mesh/member"
)

// membership is the mesh as the API shows it; it implements api.Membership.
type membership struct{ n *Node }

// MeshView is how the node stands in its mesh; an error where it is in none.
func (n *Node) MeshView() (api.MeshView, error) { return membership{n}.Mesh() }

// Mesh is how the node stands in its mesh.
func (m membership) Mesh() (api.MeshView, error) {
	st, err := m.n.mesh.Status()
	if err != nil {
		return api.MeshView{}, meshError(err)
	}
	c := st.Credential
	return api.MeshView{Mesh: st.Mesh.String(), Node: m.n.id.String(), Role: c.Role.String(), Holder: st.Holder, Issued: c.Issued.UTC(),
		Expires: c.Expires.UTC(), Members: st.Members, Connected: st.Connected, Through: st.Through, Revoked: st.Revoked, Refused: m.n.mesh.Refusals()}, nil
}

// Members lists who belongs to the mesh, as far as the node knows.
func (m membership) Members() ([]api.MemberView, error) {
	list, err := m.n.mesh.Members()
	if err != nil {
		return nil, meshError(err)
	}
	views := []api.MemberView{}
	for _, e := range list {
		// What a node says of itself now, rather than what it said when it joined.
		v := api.MemberView{ID: e.ID.String(), Name: cmp.Or(m.n.nameOf(e.ID), e.Name), Role: e.Role.String(), Holder: e.Holder,
			Self: e.Self, Connected: e.Connected, Through: e.Through, Addrs: append([]string{}, e.Addrs...)}
		v.Relay = e.Relay.String()
		if !e.Expires.IsZero() {
			at := e.Expires.UTC()
			v.Expires = &at
		}
		views = append(views, v)
	}
	return views, nil
}

// inviteLife is how long a token is good if nothing else is said.
const inviteLife = time.Hour

// Invite makes a token by which other nodes join.
func (m membership) Invite(o api.InviteOrder) (api.InviteView, error) {
	role, err := member.ParseRole(cmp.Or(o.Role, member.Serve.String()))
	if err != nil {
		return api.InviteView{}, meshError(err)
	}
	uses, life := cmp.Or(o.Uses, 1), inviteLife
	if o.Seconds != 0 {
		if life = time.Duration(o.Seconds) * time.Second; life/time.Second != time.Duration(o.Seconds) {
			life = -1 // too long for a number is refused as well
		}
	}
	expires := time.Now().Add(life).UTC()
	t, err := m.n.mesh.Invite(o.Addrs, role, uses, life)
	if err != nil {
		return api.InviteView{}, meshError(err)
	}
	v := api.InviteView{Token: t.String(), Mesh: t.Mesh.String(), Role: role.String(), Uses: uses, Expires: expires}
	for _, a := range t.Addrs {
		v.Addrs = append(v.Addrs, a.String())
	}
	return v, nil
}

// byName are the nodes of a list that a name may mean: an identity means one, else it
// is what people call them or the end of their identities.
func byName[T any](name string, list []T, of func(T) (id, name string)) (found []T) {
	for _, v := range list {
		id, known := of(v)
		if name == id {
			return []T{v}
		}
		if name != "" && (name == known || len(name) >= 8 && strings.HasSuffix(id, name)) {
			found = append(found, v)
		}
	}
	return found
}

// Revoke ends a node's membership.
func (m membership) Revoke(name string) (api.MemberView, error) {
	list, err := m.Members()
	if err != nil {
		return api.MemberView{}, err
	}
	found := byName(name, list, func(v api.MemberView) (string, string) { return v.ID, v.Name })
	switch {
	case len(found) == 0:
		return api.MemberView{}, &api.Error{Status: http.StatusNotFound, Code: "not_member", Param: "node",
			Message: fmt.Sprintf("%.80q is no member that is known here; see: omx mesh members", name)}
	case len(found) > 1:
		return api.MemberView{}, &api.Error{Status: http.StatusConflict, Code: "ambiguous", Param: "node",
			Message: fmt.Sprintf("%d members are called %.80q; name one by its identity, see: omx mesh members --json", len(found), name)}
	}
	id, err := catalog.ParseNodeID(found[0].ID)
	if err == nil {
		err = m.n.mesh.Revoke(id)
	}
	return found[0], meshError(err)
}

// meshError is what an operator is told.
func meshError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, member.ErrNoMesh):
		return &api.Error{Status: http.StatusConflict, Code: "no_mesh", Message: err.Error()}
	case errors.Is(err, member.ErrNotHolder):
		return &api.Error{Status: http.StatusConflict, Code: "not_holder", Message: err.Error()}
	}
	return &api.Error{Status: http.StatusUnprocessableEntity, Code: "mesh_refused", Message: err.Error()}
}

// meshCollector reads the mesh's figures when they are asked for.
type meshCollector struct{ n *Node }

var (
	descRefused     = prometheus.NewDesc("omx_mesh_refused_total", "Times that somebody was not let into the mesh, or what a member sent did not count, by reason.", []string{"reason"}, nil)
	descConnections = prometheus.NewDesc("omx_mesh_connections", "Connections with other nodes.", nil, nil)
	descThrough     = prometheus.NewDesc("omx_mesh_through_others", "Nodes that are up and known through others only.", nil, nil)
	descMembers     = prometheus.NewDesc("omx_mesh_members", "Members of the mesh that are known, this node among them.", nil, nil)
	descRelayed     = prometheus.NewDesc("omx_mesh_relayed_bytes_total", "Bytes passed on between other members as their relay.", nil, nil)
	descUnrelayed   = prometheus.NewDesc("omx_mesh_relay_dropped_total", "Packets that were not passed on between other members.", nil, nil)
	descExpires     = prometheus.NewDesc("omx_mesh_credential_expires_seconds", "When this node's credential expires, in seconds since 1970.", nil, nil)
)

// Describe implements prometheus.Collector.
func (meshCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRefused, descConnections, descThrough, descMembers, descRelayed, descUnrelayed, descExpires} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c meshCollector) Collect(ch chan<- prometheus.Metric) {
	for reason, v := range c.n.mesh.Refusals() {
		ch <- prometheus.MustNewConstMetric(descRefused, prometheus.CounterValue, float64(v), reason)
	}
	ch <- prometheus.MustNewConstMetric(descConnections, prometheus.GaugeValue, float64(c.n.mesh.Count()))
	relayed := c.n.mesh.Relayed()
	ch <- prometheus.MustNewConstMetric(descRelayed, prometheus.CounterValue, float64(relayed.Bytes))
	ch <- prometheus.MustNewConstMetric(descUnrelayed, prometheus.CounterValue, float64(relayed.Dropped))
	if st, err := c.n.mesh.Status(); err == nil {
		ch <- prometheus.MustNewConstMetric(descThrough, prometheus.GaugeValue, float64(st.Through))
		ch <- prometheus.MustNewConstMetric(descMembers, prometheus.GaugeValue, float64(st.Members))
		ch <- prometheus.MustNewConstMetric(descExpires, prometheus.GaugeValue, float64(st.Credential.Expires.UnixMilli())/1000)
	}
}
