package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"omx/node/api"
)

type meshCmd struct {
	Init    meshInitCmd    `cmd:"" help:"Make a mesh, with this machine as its first member."`
	Invite  meshInviteCmd  `cmd:"" help:"Make a token by which another machine joins."`
	Join    meshJoinCmd    `cmd:"" help:"Join a mesh with a token made there."`
	Members meshMembersCmd `cmd:"" help:"List the members of the mesh."`
	Revoke  meshRevokeCmd  `cmd:"" help:"Remove a member from the mesh."`
	Status  meshStatusCmd  `cmd:"" help:"Show how this node stands in its mesh."`
}

// The commands of this file talk to a running node; those that change a node
// before it runs are in mesh_folder.go.

type meshInviteCmd struct {
	target
	Uses int           `help:"How many machines may join with the token." default:"1"`
	For  time.Duration `help:"How long it is good." default:"1h"`
	Role string        `help:"What they do: serve, gateway (answers nothing itself) or observe (asks nothing either)." default:"serve" enum:"serve,gateway,observe"`
	Addr []string      `help:"Where this node is reached from there, HOST:PORT or multiaddr (default: where it listens)." placeholder:"ADDR"`
	JSON bool          `help:"Print JSON."`
}

func (c *meshInviteCmd) Run(e *env) error {
	if c.Uses < 1 || c.For < time.Second {
		return usageError{fmt.Errorf("--uses must be at least 1 and --for at least 1s, not %d and %v", c.Uses, c.For)}
	}
	var v api.InviteView
	if err := c.instruct(e, "/omx/v1/mesh/invite", api.InviteOrder{Role: c.Role, Uses: c.Uses, Seconds: int64(c.For / time.Second), Addrs: c.Addr}, &v); err != nil {
		return err
	}
	if onlyHere(v.Addrs) {
		e.say("warning: the node listens on this machine only; to be reached from others,")
		e.say("start it with --mesh /ip4/0.0.0.0/udp/4001/quic-v1 and make another token")
	}
	if c.JSON {
		return writeJSON(e, v)
	}
	fmt.Fprintln(e.stdout, v.Token)
	e.say("good for %d, role %s, until %s; on the other machine:", v.Uses, v.Role, v.Expires.Local().Format(time.DateTime))
	e.say("  omx mesh join TOKEN")
	return nil
}

// onlyHere says whether all addresses are of this machine itself.
func onlyHere(addrs []string) bool {
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err != nil || !manet.IsIPLoopback(a) {
			return false
		}
	}
	return true
}

// instruct has the node do something, and reads what it answers.
func (t *target) instruct(e *env, path string, body, into any) error {
	resp, err := t.post(e.ctx, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(into); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return nil
}

type meshMembersCmd struct {
	target
	JSON bool `help:"Print JSON."`
}

func (c *meshMembersCmd) Run(e *env) error {
	var members []api.MemberView
	if err := c.get(e.ctx, "/omx/v1/mesh/members", &members); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, members)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tID\tROLE\tSTATE\tMEMBERSHIP")
	for _, m := range members {
		name, role, state := clip(m.Name, 24), m.Role, "away"
		if m.Self {
			name += " *"
		}
		if m.Holder {
			role += ", key"
		}
		switch {
		case m.Connected:
			state = "connected"
		case m.Through:
			state = "up, through others"
		}
		if m.Relay != "" {
			state = "relayed"
		}
		fmt.Fprintf(w, "%s\t…%s\t%s\t%s\t%s\n", name, m.ID[max(0, len(m.ID)-8):], role, state, remaining(m.Expires))
	}
	return w.Flush()
}

// remaining is how long a credential is good.
func remaining(at *time.Time) string {
	if at == nil {
		return "not seen"
	}
	left := time.Until(*at)
	switch {
	case left <= 0:
		return "expired"
	case left < time.Hour:
		return fmt.Sprintf("%.0f min left", left.Minutes())
	}
	return fmt.Sprintf("%.0f h left", left.Hours())
}

type meshRevokeCmd struct {
	target
	Node string `arg:"" help:"Its name, its identity, or the last 8 characters of that."`
	JSON bool   `help:"Print JSON."`
}

func (c *meshRevokeCmd) Run(e *env) error {
	var v api.MemberView
	if err := c.instruct(e, "/omx/v1/mesh/revoke", map[string]string{"node": c.Node}, &v); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, v)
	}
	e.say("removed %s, %s", clip(v.Name, 18), v.ID)
	e.say("the other members refuse it as soon as they hear of it")
	return nil
}

type meshStatusCmd struct {
	target
	JSON bool `help:"Print JSON."`
}

func (c *meshStatusCmd) Run(e *env) error {
	var v api.MeshView
	if err := c.get(e.ctx, "/omx/v1/mesh", &v); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, v)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	role := v.Role
	if v.Holder {
		role += ", holds the mesh's key"
	}
	for _, line := range [][2]string{{"mesh", v.Mesh}, {"node", v.Node}, {"role", role}, {"membership", remaining(&v.Expires)},
		{"members", fmt.Sprintf("%d known, %d connected, %d up through others", v.Members, v.Connected, v.Through)}} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	refused := uint64(0)
	for _, n := range v.Refused {
		refused += n
	}
	fmt.Fprintf(w, "refused\t%d attempts by others\n", refused)
	return w.Flush()
}
